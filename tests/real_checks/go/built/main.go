package main

import (
	"fmt"
	"os"
)

func main() {
	var count int = "one"
	unused := 1
	fmt.Println(undefinedThing, count.absent)
}
