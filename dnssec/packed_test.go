package dnssec

import "slices"

// With returns p with one more field, unless it is there already: an RRset has no two
// equal records (RFC 2181 §5).
func (p Packed) With(field string) Packed {
	if slices.Contains(slices.Collect(p.All()), field) {
		return p
	}
	return Packed(appendField([]byte(p), field))
}
