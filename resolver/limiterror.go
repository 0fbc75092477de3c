package resolver

import "fmt"

// LimitError says that a question needed more work than its Limits allow, or that
// nothing but replies came that go beyond what a message may have.
type LimitError struct {
	// Limit is the field of Limits, or a bound of messages, which is none: MessageRecords
	// (records of a message), MessageNames (octets of its names, written out),
	// NamePointers (compression pointers in one name) or EDNSOptions.
	Limit string
	Value int // what it allows; for Time in milliseconds
}

func (e *LimitError) Error() string { return fmt.Sprintf("limit %s (%d) reached", e.Limit, e.Value) }

// limit returns what the error names.
func (e *LimitError) limit() limit { return limitNamed(e.Limit) }
