package absent

import "example.org/nowhere/at/all"

var _ = all.Thing
