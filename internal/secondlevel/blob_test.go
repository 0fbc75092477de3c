package secondlevel

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	none  = sealer{}
	keyed = sealer{[]byte("secret")}
	whole = Blob{Stored: start, Expires: start.Add(time.Hour), Payload: []byte("a reply")}
)

func TestSealAndOpen(t *testing.T) {
	for _, s := range []sealer{none, keyed} {
		k := s.key([]byte("a"), []byte("b"))
		got, err := s.open(k, s.close(k, whole), start.Add(time.Minute))
		if err != nil || !got.Stored.Equal(whole.Stored) || !got.Expires.Equal(whole.Expires) || !bytes.Equal(got.Payload, whole.Payload) {
			t.Errorf("got %+v, %v, want %+v", got, err, whole)
		}
	}
}

// Parts count one by one, and so does the secret.
func TestKeysDiffer(t *testing.T) {
	seen := make(map[Key]int)
	for i, k := range []Key{
		none.key(), none.key(nil), none.key([]byte("ab")), none.key([]byte("a"), []byte("b")),
		none.key([]byte("ab"), nil), keyed.key([]byte("ab")), sealer{[]byte("Secret")}.key([]byte("ab")),
	} {
		if other, ok := seen[k]; ok {
			t.Errorf("keys %d and %d are equal", other, i)
		}
		seen[k] = i
	}
	if none.key([]byte("ab")) != (sealer{}).key([]byte("ab")) {
		t.Error("two resolvers have different keys for the same thing")
	}
}

// Every byte counts, and a blob is of its own key only.
func TestOpenRejects(t *testing.T) {
	k := keyed.key([]byte("a"))
	good := keyed.close(k, whole)
	for at := range good {
		for _, flip := range []byte{1, 0x80} {
			bad := bytes.Clone(good)
			bad[at] ^= flip
			if got, err := keyed.open(k, bad, start); err == nil {
				t.Errorf("byte %d changed: got %+v, want an error", at, got)
			}
		}
	}
	for n := range good {
		if got, err := keyed.open(k, good[:n], start); err == nil {
			t.Errorf("%d bytes of %d: got %+v, want an error", n, len(good), got)
		}
	}
	long := whole
	long.Payload = make([]byte, MaxPayload+1)
	for _, c := range []struct {
		about  string
		key    Key
		sealed []byte
		now    time.Time
		want   error
	}{
		{"longer", k, append(bytes.Clone(good), 0), start, errSeal},
		{"another key's", keyed.key([]byte("b")), good, start, errSeal},
		{"without the secret", k, none.close(k, whole), start, errSeal},
		{"too long", k, keyed.close(k, long), start, errTooLong},
		{"from the future", k, good, start.Add(-time.Minute), errTime},
		{"lives backwards", k, keyed.close(k, Blob{Stored: start, Expires: start}), start, errTime},
		{"lives too long", k, keyed.close(k, Blob{Stored: start, Expires: start.Add(MaxLife + time.Millisecond)}), start, errTime},
		{"before 1970", k, keyed.close(k, Blob{Stored: time.UnixMilli(-1), Expires: start}), start, errTime},
		{"nothing", k, nil, start, errNoBlob},
	} {
		if got, err := keyed.open(c.key, c.sealed, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %+v, %v, want %v", c.about, got, err, c.want)
		}
	}
	if _, err := keyed.open(k, good, start.Add(-maxSkew)); err != nil {
		t.Errorf("from a clock that is %v ahead: %v", maxSkew, err)
	}
}

// FuzzOpen: only what was sealed is opened, and it comes out as it went in.
func FuzzOpen(f *testing.F) {
	k := none.key([]byte("a"))
	good := none.close(k, whole)
	f.Add(good)                                                        // as it is
	f.Add(good[:overhead])                                             // without payload
	f.Add(append([]byte("iDNS\x02"), good[5:]...))                     // another version
	f.Add(none.close(k, Blob{Stored: start, Expires: start.Add(1e6)})) // of one millisecond
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		b, err := none.open(k, sealed, start)
		if err != nil {
			return
		}
		if life := b.Expires.Sub(b.Stored); life <= 0 || life > MaxLife || len(b.Payload) > MaxPayload || b.Stored.After(start.Add(maxSkew)) {
			t.Fatalf("got %+v", b)
		}
		if again := none.close(k, b); !bytes.Equal(again, sealed) {
			t.Fatalf("got %x, sealed again %x", sealed, again)
		}
	})
}
