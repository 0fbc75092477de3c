package dnssec

// What values take in memory beside their records, in bytes: a key set or delegation, an
// RRset, and a key with what its public key was parsed to (P-256 takes most).
const (
	linkOverhead  = 256
	rrsetOverhead = 128
	keyOverhead   = 384
)

// Size is about how much memory the key set takes, in bytes: the records, the parsed keys, and
// the chain of trust up to the anchor, which it keeps alive and mostly shares with others.
func (k *KeySet) Size() int {
	size := k.ownSize()
	if k.via != nil {
		size += k.via.Size()
	}
	return size
}

// Size is about how much memory the delegation takes, in bytes, with the chain of trust up to
// the anchor, as that of a KeySet.
func (d *Delegation) Size() int {
	size := 0
	for d != nil {
		size += d.ownSize()
		switch {
		case d.signer != nil:
			size += d.signer.ownSize()
			d = d.signer.via
		default:
			d = d.via
		}
	}
	return size
}

func (k *KeySet) ownSize() int {
	size := linkOverhead + k.RRset.memory()
	for _, key := range k.keys {
		size += keyOverhead + len(key.PublicKey)
	}
	return size
}

func (d *Delegation) ownSize() int {
	size := linkOverhead + d.DS.memory()
	for _, set := range d.Proof {
		size += set.memory()
	}
	return size
}

// memory is about how much memory an RRset takes, in bytes; 0 for none.
func (s *RRset) memory() int {
	if s == nil {
		return 0
	}
	return rrsetOverhead + s.Size()
}
