package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestReadMessage(t *testing.T) {
	short, long := message(0x0102, 12, 'a'), message(0x0304, maxMessage, 'b')
	for _, test := range []struct {
		name string
		in   []byte
		want []byte
		part fragment
		err  error
	}{
		{"smallest", framed(short), short, fragment{}, nil},
		{"largest", framed(long), long, fragment{}, nil},
		{"end", nil, nil, fragment{}, io.EOF},
		{"half a length", []byte{0}, nil, fragment{size: 1}, io.ErrUnexpectedEOF},
		{"length alone", []byte{0, 12}, nil, fragment{size: 2}, io.EOF},
		{"half an ID", []byte{0, 12, 1}, nil, fragment{size: 3}, io.ErrUnexpectedEOF},
		{"cut after the ID", []byte{0, 12, 1, 2}, nil, fragment{size: 4, id: 0x0102, hasID: true}, io.ErrUnexpectedEOF},
		{"cut before the end", framed(long)[:maxMessage], nil, fragment{size: maxMessage, id: 0x0304, hasID: true}, io.ErrUnexpectedEOF},
		{"length 0", []byte{0, 0, 1, 2}, nil, fragment{size: 2}, ErrFraming},
		{"length below a header", append([]byte{0, 11}, short...), nil, fragment{size: 2}, ErrFraming},
	} {
		for how, r := range map[string]io.Reader{"at once": bytes.NewReader(test.in), "byte by byte": iotest.OneByteReader(bytes.NewReader(test.in))} {
			t.Run(test.name+" "+how, func(t *testing.T) {
				got, part, err := readMessage(bufio.NewReaderSize(r, readBufferSize))
				if !bytes.Equal(got, test.want) || part != test.part || !errors.Is(err, test.err) {
					t.Errorf("got %d bytes, %+v, %v, want %d bytes, %+v, %v", len(got), part, err, len(test.want), test.part, test.err)
				}
			})
		}
	}
}

func TestFragmentMayBe(t *testing.T) {
	for _, test := range []struct {
		part fragment
		want bool
	}{
		{fragment{}, false},
		{fragment{size: 1}, true},
		{fragment{size: 4, id: 7, hasID: true}, true},
		{fragment{size: 4, id: 8, hasID: true}, false},
	} {
		if got := test.part.mayBe(7); got != test.want {
			t.Errorf("%+v.mayBe(7): got %t, want %t", test.part, got, test.want)
		}
	}
}

// Whatever comes, messages read are those a plain reading of RFC 1035 §4.2.2
// finds, and what is reported of the last is what is left.
func FuzzReadMessage(f *testing.F) {
	f.Add(framed(message(1, 12, 0)))                                            // one message
	f.Add(append(framed(message(1, 12, 0)), framed(message(2, 300, 1))...))     // two, pipelined
	f.Add(append(framed(message(1, 12, 0)), 0, 0))                              // length 0 after a message
	f.Add([]byte{0xff, 0xff, 1})                                                // the largest length, cut within the ID
	f.Add([]byte{0})                                                            // half a length
	f.Add(append([]byte{0, 11}, message(1, 11, 0)...))                          // smaller than a header
	f.Add(append(framed(message(1, 12, 0)), framed(message(9, 40, 0))[:20]...)) // cut within the second
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(in), readBufferSize)
		rest := in
		for {
			got, part, err := readMessage(r)
			if err != nil {
				whole := len(rest) >= 2 && len(rest)-2 >= int(rest[0])<<8+int(rest[1])
				framing := len(rest) >= 2 && int(rest[0])<<8+int(rest[1]) < headerSize
				if errors.Is(err, ErrFraming) != framing || whole && !framing || !framing && part.size != len(rest) {
					t.Fatalf("got %+v, %v at %x", part, err, rest)
				}
				return
			}
			if !bytes.HasPrefix(rest, framed(got)) {
				t.Fatalf("got %x, want the start of %x", framed(got), rest)
			}
			rest = rest[2+len(got):]
		}
	})
}
