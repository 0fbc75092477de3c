package secondlevel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// Key is what a blob is stored under: a digest, from which the question cannot be read.
type Key [sha256.Size]byte

// Blob is one entry of the store.
type Blob struct {
	Stored  time.Time // when the data came from a server, by the wall clock
	Expires time.Time // it is of no use from then on
	Payload []byte
}

// A sealed blob:
//
//	 0  magic
//	 4  version
//	 5  stored, milliseconds since 1970
//	13  expires, likewise
//	21  seal: HMAC-SHA-256, cut to 16 bytes, of key, all before, and payload
//	37  payload
const (
	magic    = "iDNS"
	version  = 1
	sealAt   = 21
	sealLen  = 16
	overhead = sealAt + sealLen
)

const (
	// MaxPayload is the largest payload. All but few replies are smaller than 4 KiB, and
	// the queue of writes is bounded by number.
	MaxPayload = 16 << 10
	// MaxLife is the longest life of a blob: that of cached data (RFC 8767 §4).
	MaxLife = 24 * time.Hour
	// maxSkew is how far the clock of the host that wrote a blob may be ahead of ours.
	// Hosts that keep time differ by less than a second; a clock that is ahead makes data
	// live longer by as much.
	maxSkew = 30 * time.Second
)

// Why a blob is rejected.
var (
	errNoBlob  = errors.New("no blob of this version")
	errSeal    = errors.New("blob is damaged, or of another key")
	errTime    = errors.New("blob has an impossible life")
	errTooLong = errors.New("blob is too long")
)

// sealer makes and checks seals. With a secret, only resolvers that have it can make them;
// without one they only show what is damaged or stored under the wrong key.
type sealer struct{ secret []byte }

// key returns the key for a list of parts. Each part is hashed with its length, so that no
// two lists have the same key.
func (s sealer) key(parts ...[]byte) Key {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte{'k', version}) // a key is never a seal
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	return Key(h.Sum(nil))
}

func (s sealer) seal(k Key, head, payload []byte) []byte {
	h := hmac.New(sha256.New, s.secret)
	h.Write([]byte{'s', version})
	h.Write(k[:])
	h.Write(head)
	h.Write(payload)
	return h.Sum(nil)[:sealLen]
}

// close seals a blob for its key.
func (s sealer) close(k Key, b Blob) []byte {
	out := make([]byte, 0, overhead+len(b.Payload))
	out = append(out, magic...)
	out = append(out, version)
	out = binary.BigEndian.AppendUint64(out, uint64(b.Stored.UnixMilli()))
	out = binary.BigEndian.AppendUint64(out, uint64(b.Expires.UnixMilli()))
	out = append(out, s.seal(k, out, b.Payload)...)
	return append(out, b.Payload...)
}

// open checks and opens the bytes found under a key. An expired blob is no error. The
// payload is part of b.
func (s sealer) open(k Key, b []byte, now time.Time) (Blob, error) {
	switch {
	case len(b) < overhead, string(b[:len(magic)]) != magic, b[len(magic)] != version:
		return Blob{}, errNoBlob
	case len(b) > overhead+MaxPayload:
		return Blob{}, errTooLong
	}
	head, seal, payload := b[:sealAt], b[sealAt:overhead], b[overhead:]
	if !hmac.Equal(seal, s.seal(k, head, payload)) {
		return Blob{}, errSeal
	}
	stored := int64(binary.BigEndian.Uint64(head[5:]))
	expires := int64(binary.BigEndian.Uint64(head[13:]))
	switch {
	case stored < 0, expires <= stored, expires-stored > MaxLife.Milliseconds(),
		stored > now.Add(maxSkew).UnixMilli():
		return Blob{}, errTime
	}
	return Blob{Stored: time.UnixMilli(stored), Expires: time.UnixMilli(expires), Payload: payload}, nil
}
