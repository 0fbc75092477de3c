package resolver

// stackRoom is what the calls of a question, or of asking one server, take of a stack.
const stackRoom = 6 << 10

// growStack is called first in a goroutine that lives as long as one query, and makes room for
// its calls: its frame is so large that the stack grows for it, once, and stays so. A
// goroutine has 2 KiB at first, and twice as much whenever a call finds no room; by then
// each frame below has to be found, moved and corrected, which was a tenth of what a query
// costs. At the beginning there is nothing yet to move.
//
//go:noinline
func growStack(i int) byte {
	var room [stackRoom]byte
	room[(i+1)%stackRoom] = 1 // or the compiler would leave it out
	return room[i%stackRoom]
}
