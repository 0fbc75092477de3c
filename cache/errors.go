package cache

import (
	"errors"
	"fmt"
)

// LimitError says that an RRset was not kept because of a limit that Options can
// raise.
type LimitError struct {
	Option string // the field of Options
	Limit  int    // as it was
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("cache: RRset not kept: over the limit %s = %d", e.Option, e.Limit)
}

// ErrNotKept says that data was not kept for another reason than a limit: its TTL is 0,
// it is no data of class IN, or what is there ranks higher.
var ErrNotKept = errors.New("cache: RRset not kept")
