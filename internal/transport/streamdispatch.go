package transport

import (
	"encoding/binary"
)

// deliver hands message to the waiter for its ID, or else offers it to all waiters.
func (c *stream) deliver(message []byte) error {
	id := binary.BigEndian.Uint16(message)
	c.pool.mu.Lock()
	to, stray, err := c.recipients(id)
	c.pool.mu.Unlock()
	for _, w := range to {
		select {
		case w.inbox <- delivery{message, stray}:
		case <-w.left:
		case <-w.failed:
		case <-c.done:
		}
	}
	return err
}

// recipients decides which waiters see a message with this ID. The lock must be held.
//
// A reply that was still owed to a waiter that has left is expected and dropped: if
// the question has been asked again meanwhile, with another ID, offering it would
// look like a forgery. The same holds for a second reply with an ID already
// answered, a few times. An error means that no message was expected at all.
func (c *stream) recipients(id uint16) (to []*waiter, stray bool, err error) {
	if w := c.waiters[id]; w != nil && w.written {
		return []*waiter{w}, false, nil
	}
	owed, spent := c.spent[id]
	if owed {
		c.spent[id] = false
		c.owed--
		c.pool.wakeAll()
		return nil, false, nil
	}
	for _, w := range c.waiters {
		if w.written {
			to = append(to, w)
		}
	}
	if len(to) == 0 {
		return nil, false, errUnsolicited
	}
	if spent {
		if c.repeated++; c.repeated > maxRepeated {
			err = errUnsolicited
		}
		return nil, false, err
	}
	return to, true, nil
}
