package serve

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
)

// Rotate turns the records of each RRset of an answer, so that clients that take the first
// one spread over all (RFC 1794). Aliases stay before what they lead to, and signatures
// behind what they cover. turn returns by how many places n records are to be turned; nil
// turns nothing.
func Rotate(answer []dns.RR, turn func(n int) int) {
	if turn == nil {
		return
	}
	for start := 0; start < len(answer); {
		end := start + 1
		for end < len(answer) && isSameSet(answer[start], answer[end]) {
			end++
		}
		if set := answer[start:end]; len(set) > 1 && set[0].Header().Rrtype != dns.TypeRRSIG {
			turnLeft(set, turn(len(set)))
		}
		start = end
	}
}

// rotation returns how many records of a part of the answer section go from its front to its
// end.
func (s *Server) rotation(p answer.Part) int {
	if s.Rotate == nil || p.Authority || p.Set.Type == dns.TypeRRSIG {
		return 0
	}
	n := p.Set.Len()
	if n < 2 {
		return 0
	}
	return rotated(n, s.Rotate(n))
}

// rotated returns by, which may be any number, as one from 0 to n-1.
func rotated(n, by int) int { return (by%n + n) % n }

func isSameSet(a, b dns.RR) bool {
	return a.Header().Rrtype == b.Header().Rrtype && a.Header().Name == b.Header().Name
}

// turnLeft puts the first by records behind the others; by may be any number.
func turnLeft(set []dns.RR, by int) {
	n := len(set)
	by = rotated(n, by)
	turned := append(append(make([]dns.RR, 0, n), set[by:]...), set[:by]...)
	copy(set, turned)
}
