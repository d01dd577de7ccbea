package vetted

import (
	"fmt"
	"sync"
)

// Size copies its lock.
func Size(lock sync.Mutex) string {
	lock.Lock()
	return fmt.Sprintf("%s")
}
