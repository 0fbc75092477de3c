package resolver

// LimitError is the error of a question that needed more work than its Limits allow, or
// that got only replies beyond the bounds of messages.
type LimitError struct {
	// Limit is the name of the field of Limits, or of a bound of messages: MessageRecords
	// (records of a message), MessageNames (bytes of its names, uncompressed), NamePointers
	// (compression pointers in one name) or EDNSOptions.
	Limit string
	Value int // the value of the limit; for Time in milliseconds
}

func (e *LimitError) Error() string { return (*limitError)(e).Error() }
