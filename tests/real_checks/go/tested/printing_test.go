package tested

import (
	"testing"

	"example.org/wrong/vetted"
)

func TestPrint(t *testing.T) {
	vetted.Print(vetted.Line{}, "one")
	t.Errorf("%d", undefinedThing)
}
