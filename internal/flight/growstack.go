package flight

// How much stack the calls need: those of asking one server, and those of a question up to the
// verification of its first signatures.
const (
	exchangeStack = 6 << 10
	questionStack = 12 << 10
)

// GrowStack is called first in a goroutine that lives as long as one exchange, so that its stack
// grows once: its frame is as large as those of all later calls, and the stack keeps its size.
// A goroutine begins with 2 KiB, which double whenever a call does not fit. Each frame then
// has to be found, moved and corrected, which was a tenth of the cost of a query. At the
// beginning there is nothing to move yet.
//
//go:noinline
func GrowStack(i int) byte {
	var room [exchangeStack]byte
	room[(i+1)%exchangeStack] = 1 // or the compiler would remove it
	return room[i%exchangeStack]
}

// growQuestionStack is GrowStack for a goroutine that lives as long as a question, which walks
// from zone to zone and validates.
//
//go:noinline
func growQuestionStack(i int) byte {
	var room [questionStack]byte
	room[(i+1)%questionStack] = 1
	return room[i%questionStack]
}
