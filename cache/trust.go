package cache

// Trust divides what passed a view's policy from what did not. Each has keys of its
// own, so that neither can displace the other.
type Trust uint8

const (
	// Checked data passed the view's policy: it was validated, or the view does not
	// validate.
	Checked Trust = iota
	// Unchecked data was fetched for a question with CD=1 and may be bogus. It never
	// answers a question that asks for Checked.
	Unchecked
)

// String returns a short name of the class of trust.
func (t Trust) String() string {
	switch t {
	case Checked:
		return "checked"
	case Unchecked:
		return "unchecked"
	}
	return "unknown"
}
