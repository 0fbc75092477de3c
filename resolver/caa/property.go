package caa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/iterdns/iterdns/resolver"
)

// ErrProperty says that RDATA is not that of a CAA record (RFC 8659 §4.1).
var ErrProperty = errors.New("malformed CAA record")

// ErrIssueValue says that the value of an issue, issuewild or issuemail property does not match
// the grammar of RFC 8659 §4.2. Such a property authorizes nobody.
var ErrIssueValue = errors.New("malformed issue value")

// The property tags that are understood without Request.Tags: those of RFC 8659 and RFC 9495, and
// the two of the baseline requirements' appendix A that name contacts.
const (
	tagIssue        = "issue"
	tagIssueWild    = "issuewild"
	tagIssueMail    = "issuemail"
	tagIodef        = "iodef"
	tagContactEmail = "contactemail"
	tagContactPhone = "contactphone"
)

// Property is a CAA record. RFC 8659 §4.
type Property struct {
	Flags uint8
	// Tag is in lower case, since tags are compared without regard to case.
	Tag string
	// Value has the bytes as received, which may be arbitrary.
	Value string
}

// ParseProperty parses the RDATA of a CAA record. It fails with ErrProperty when the tag is empty or
// cut off.
func ParseProperty(rdata string) (Property, error) {
	const fixed = 2
	if len(rdata) < fixed || rdata[1] == 0 || len(rdata) < fixed+int(rdata[1]) {
		return Property{}, fmt.Errorf("%w: %d bytes", ErrProperty, len(rdata))
	}
	tag, value := rdata[fixed:fixed+int(rdata[1])], rdata[fixed+int(rdata[1]):]
	return Property{Flags: rdata[0], Tag: lower(tag), Value: value}, nil
}

// Critical reports whether an issuer that does not understand the property must not issue: bit 0,
// which has the value 128 (RFC 8659 §4.1). All other flags are ignored.
func (p Property) Critical() bool { return p.Flags&0x80 != 0 }

// String returns the property as zone files have it, printable.
func (p Property) String() string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p.Value)
	return resolver.Printable(strconv.Itoa(int(p.Flags)) + " " + p.Tag + ` "` + quoted + `"`)
}

// IssueValue is the value of an issue, issuewild or issuemail property. RFC 8659 §4.2.
type IssueValue struct {
	// Issuer is the issuer-domain-name in lower case; "" authorizes nobody.
	Issuer     string
	Parameters []Parameter // in their order
}

// Parameter is a parameter of an IssueValue.
type Parameter struct {
	Tag   string // in lower case
	Value string // visible ASCII without semicolons; may be ""
}

// ParseIssueValue parses a value strictly by the grammar of RFC 8659 §4.2: a semicolon after the last
// parameter, for instance, makes it malformed. It fails with ErrIssueValue.
func ParseIssueValue(value string) (IssueValue, error) {
	issuer, rest, more := strings.Cut(value, ";")
	v := IssueValue{Issuer: lower(trim(issuer))}
	if v.Issuer != "" && !isIssuer(v.Issuer) {
		return IssueValue{}, fmt.Errorf("%w: the issuer's domain name", ErrIssueValue)
	}
	if !more || trim(rest) == "" {
		return v, nil
	}
	for text := range strings.SplitSeq(rest, ";") {
		tag, value, ok := strings.Cut(text, "=")
		p := Parameter{Tag: lower(trim(tag)), Value: trim(value)}
		if !ok || !isLabel(p.Tag) || strings.ContainsFunc(p.Value, func(c rune) bool { return c < '!' || c > '~' }) {
			return IssueValue{}, fmt.Errorf("%w: parameter %d", ErrIssueValue, len(v.Parameters)+1)
		}
		v.Parameters = append(v.Parameters, p)
	}
	return v, nil
}

// all returns the values of a parameter.
func (v *IssueValue) all(tag string) []string {
	var values []string
	for _, p := range v.Parameters {
		if p.Tag == tag {
			values = append(values, p.Value)
		}
	}
	return values
}

// trim takes away what the grammar calls WSP: blanks and tabs.
func trim(s string) string { return strings.Trim(s, " \t") }

// lower puts ASCII letters in lower case, and changes no other byte.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// isIssuer reports whether s, in lower case, is labels of letters, digits and hyphens.
func isIssuer(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s, in lower case, is letters, digits and, between these, hyphens.
func isLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return c != '-' && !isAlphanumeric(c) })
}

func isAlphanumeric(c rune) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
