package transport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// readBufferSize takes several usual replies in one system call.
const readBufferSize = 4096

// fragment is the part of a message that had come when the connection ended; the zero
// fragment is nothing.
type fragment struct {
	size  int // bytes that came, the two of the length included
	id    uint16
	hasID bool
}

// mayBe reports whether the message may have been the reply to query id.
func (f fragment) mayBe(id uint16) bool { return f.size > 0 && (!f.hasID || f.id == id) }

// readMessage reads one message with its length, RFC 1035 §4.2.2. With an error it
// returns the part that had come.
func readMessage(r *bufio.Reader) ([]byte, fragment, error) {
	var prefix [2]byte
	for i := range prefix {
		b, err := r.ReadByte()
		if i > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fragment{size: i}, err
		}
		prefix[i] = b
	}
	length := int(binary.BigEndian.Uint16(prefix[:]))
	if length < headerSize {
		return nil, fragment{size: len(prefix)}, fmt.Errorf("%w: length %d", ErrFraming, length)
	}
	message := make([]byte, length)
	n, err := io.ReadFull(r, message)
	if err == nil {
		return message, fragment{}, nil
	}
	part := fragment{size: len(prefix) + n, hasID: n >= 2}
	if part.hasID {
		part.id = binary.BigEndian.Uint16(message)
	}
	return nil, part, err
}

// read hands out messages until the connection ends.
func (c *stream) read() (fragment, error) {
	r := bufio.NewReaderSize(c.conn, readBufferSize)
	for {
		message, part, err := readMessage(r)
		if err != nil {
			return part, err
		}
		if err := c.deliver(message); err != nil {
			return fragment{}, err
		}
	}
}
