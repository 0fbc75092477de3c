package serve

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

// TestSipHash24 uses the vectors of the paper's authors: key 00 to 0f, messages 00, 00 01
// and so on.
func TestSipHash24(t *testing.T) {
	var key [16]byte
	var message []byte
	for i := range key {
		key[i] = byte(i)
	}
	for i := range 15 {
		message = append(message, byte(i))
	}
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5,
	} {
		if got := sipHash24(key, message[:n]); got != want {
			t.Errorf("of %d bytes: got %016x, want %016x", n, got, want)
		}
	}
}

// TestRFC9018AppendixA has the cookies of the RFC's examples.
func TestRFC9018AppendixA(t *testing.T) {
	for _, test := range []struct {
		name, secret, client, addr string
		reserved                   uint32
		at                         int64
		want                       string
	}{
		{"A.1", "e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 0, 1559731985, "010000005cf79f111f8130c3eee29480"},
		{"A.2", "e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 0, 1559734385, "010000005cf7a871d4a564a1442aca77"},
		{"A.3", "e5e973e5a6b2a43f48e7dc849e37bfcf", "fc93fc62807ddb86", "203.0.113.203", 0xabcdef, 1559727985, "01abcdef5cf78f71a314227b6679ebf5"},
		{"A.4", "dd3bdf9344b678b185a6f5cb60fca715", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", 0, 1559741817, "010000005cf7c57926556bd0934c72f8"},
	} {
		var secret [16]byte
		var client [8]byte
		hex.Decode(secret[:], []byte(test.secret))
		hex.Decode(client[:], []byte(test.client))
		got := hex.EncodeToString(serverCookie(secret, client, test.reserved, netip.MustParseAddr(test.addr), time.Unix(test.at, 0)))
		if got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

func TestIsWellFormedCookie(t *testing.T) {
	for size := range 50 {
		got := isWellFormedCookie(make([]byte, size))
		if want := size == 8 || 16 <= size && size <= 40; got != want {
			t.Errorf("%d bytes: got %t, want %t", size, got, want)
		}
	}
}
