package main

// flag("new-checkout")

func main() {
	if features.isEnabled("new-checkout") {
	}
}
