package main

type shape interface {
	width() int
	height() int
}

type box struct{}

func (box) width() int { return "wide" }

var _ shape = box{}

func pick(value int) int {
	for value > 0 {
		value--
	}
}
