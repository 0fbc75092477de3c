package resolver

// stackRoom is what the calls of a question, or of asking one server, take of a stack.
const stackRoom = 6 << 10

// onWideStack gives work that begins with room for its calls. A goroutine has 2 KiB at
// first, and twice as much whenever a call finds no room: by then each frame below has to
// be found, moved and corrected. For goroutines that live as long as one query that is a
// tenth of their cost. At the beginning there is nothing yet to move.
func onWideStack(work func()) func() {
	return func() {
		widen(0)
		work()
	}
}

// widen needs so large a frame that the stack grows for it, once, and stays so.
//
//go:noinline
func widen(i int) byte {
	var room [stackRoom]byte
	room[(i+1)%stackRoom] = 1 // or the compiler would leave it out
	return room[i%stackRoom]
}
