package secondlevel

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"
)

// Key is what a blob is stored under. It says nothing of what it stands for to who does
// not know that already.
type Key [sha256.Size]byte

// Blob is what one resolver tells others.
type Blob struct {
	Stored  time.Time // when it was learnt, by the wall clock
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
	// MaxPayload is the largest payload. Replies are smaller than 4 KiB but for few, and
	// what waits to be written is bounded by number.
	MaxPayload = 16 << 10
	// MaxLife is the longest life of a blob: that of cached data (RFC 8767 §4).
	MaxLife = 24 * time.Hour
	// maxSkew is how far the clock of whoever wrote a blob may be ahead of ours. Hosts
	// that keep time differ by less than a second; one that does not makes data live as
	// much longer as it is wrong.
	maxSkew = 30 * time.Second
)

// Why a blob is refused.
var (
	errNoBlob  = errors.New("no blob of this version")
	errSeal    = errors.New("blob is damaged, or of another key")
	errTime    = errors.New("blob has an impossible life")
	errTooLong = errors.New("blob is too long")
)

// sealer makes and checks seals. With a secret only who knows it can make them; without
// one they only tell what is damaged or in the wrong place.
type sealer struct{ secret []byte }

// key gives the key of what the parts name. Each part counts with its length, so that no
// two lists of parts have the same one.
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

// open checks and opens what was found under a key. What has expired is no error. The
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
