package dnsname

// IsRoot reports whether n is the root.
func (n Name) IsRoot() bool { return n == Root }

// Label returns the first label without its length byte; "" for the root.
func (n Name) Label() string {
	if n == "" {
		return ""
	}
	return string(n[1 : 1+int(n[0])])
}

// Parent returns the name without its first label; the root's parent is the root.
func (n Name) Parent() Name {
	if len(n) <= 1 {
		return Root
	}
	return n[1+int(n[0]):]
}

// Labels counts the labels without the root label: 0 for the root, 2 for
// "example.com.".
func (n Name) Labels() int {
	count := 0
	for i := 0; i < len(n) && n[i] != 0; i += int(n[i]) + 1 {
		count++
	}
	return count
}

// Ancestor returns the last labels labels of n: Ancestor(0) is the root and
// Ancestor(n.Labels()) is n, as is any with more labels than n has.
func (n Name) Ancestor(labels int) Name {
	for drop := n.Labels() - labels; drop > 0; drop-- {
		n = n.Parent()
	}
	return n
}

// IsBelow reports whether n is a proper subdomain of zone.
func (n Name) IsBelow(zone Name) bool {
	return len(n) > len(zone) && n.IsAtOrBelow(zone)
}

// IsAtOrBelow reports whether n is zone or a subdomain of it. Nothing is at or
// below the zero Name.
func (n Name) IsAtOrBelow(zone Name) bool {
	cut := len(n) - len(zone)
	if cut < 0 || zone == "" || n[cut:] != zone {
		return false
	}
	// The bytes match, but only a label boundary makes it an ancestor: the
	// tail of a label may look like one.
	i := 0
	for i < cut {
		i += int(n[i]) + 1
	}
	return i == cut
}

// CommonAncestor returns the longest name that both a and b are at or below.
func CommonAncestor(a, b Name) Name {
	al, bl := a.Labels(), b.Labels()
	a, b = a.Ancestor(bl), b.Ancestor(al)
	for a != b {
		a, b = a.Parent(), b.Parent()
	}
	return a
}

// Child puts label, given as plain bytes, in front of n. It fails when label is
// empty or longer than 63 bytes or the name would be longer than 255.
func (n Name) Child(label string) (Name, error) {
	switch {
	case label == "":
		return "", ErrEmptyLabel
	case len(label) > MaxLabel:
		return "", ErrLabelTooLong
	case len(label)+1+len(n) > MaxWire:
		return "", ErrTooLong
	}
	buf := make([]byte, 0, 1+len(label)+len(n))
	buf = append(buf, byte(len(label)))
	buf = append(buf, label...)
	buf = append(buf, n...)
	return canonical(buf), nil
}

// Wildcard returns the wildcard name directly below n, "*.n" (RFC 4592 §2.1.1).
func (n Name) Wildcard() (Name, error) { return n.Child("*") }

// IsWildcard reports whether the first label is the asterisk label.
func (n Name) IsWildcard() bool { return len(n) > 2 && n[0] == 1 && n[1] == '*' }

// Replace moves n from below owner to below target, as DNAME does (RFC 6672
// §2.2). n must be below owner. It fails with ErrTooLong when the new name
// would be longer than 255 bytes.
func (n Name) Replace(owner, target Name) (Name, error) {
	prefix := n[:len(n)-len(owner)]
	if len(prefix)+len(target) > MaxWire {
		return "", ErrTooLong
	}
	return prefix + target, nil
}

// Compare orders names canonically (RFC 4034 §6.1): label by label from the
// root, each as unsigned bytes, an absent label first. It returns a negative
// number, zero or a positive number.
func Compare(a, b Name) int {
	al, bl := a.Labels(), b.Labels()
	ta, tb := a.Ancestor(bl), b.Ancestor(al)
	order := compareSameDepth(ta, tb)
	if order != 0 {
		return order
	}
	return al - bl
}

// compareSameDepth orders two names with the same number of labels: the label
// nearest to the root decides, so the last difference found on the way down
// from the front wins.
func compareSameDepth(a, b Name) int {
	order := 0
	for !a.IsRoot() && a != b {
		if la, lb := a.Label(), b.Label(); la < lb {
			order = -1
		} else if la > lb {
			order = 1
		}
		a, b = a.Parent(), b.Parent()
	}
	return order
}
