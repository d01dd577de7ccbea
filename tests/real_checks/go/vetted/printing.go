// Package vetted compiles, but go vet finds fault with it.
package vetted

import "fmt"

// Line is a line.
type Line struct {
	Text string `json:text`
}

// Print prints "vetted/never.go:1:1: undefined: nothing".
func Print(line Line, count int) {
	fmt.Printf("%d of %s: vetted/never.go:1:1: not this\n", line.Text, count)
	return
	fmt.Println("never")
}
