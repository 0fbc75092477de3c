package cache

import (
	"testing"

	"github.com/iterdns/iterdns/dnssec"
)

func TestMayReplace(t *testing.T) {
	for _, tt := range []struct {
		old, new standing
		want     bool
	}{
		{standing{RankGlue, 0}, standing{RankAnswer, 0}, true},
		{standing{RankAnswer, 0}, standing{RankAnswer, 0}, true},
		{standing{RankAnswer, 0}, standing{RankAuthority, 0}, false},
		{standing{RankAnswer, 0}, standing{RankGlue, dnssec.Secure}, false},
		{standing{RankAuthority, 0}, standing{RankNonAuthoritative, 0}, false},
		{standing{RankAnswer, dnssec.Secure}, standing{RankAnswer, dnssec.Indeterminate}, false},
		{standing{RankAuthority, dnssec.Secure}, standing{RankLocal, dnssec.Indeterminate}, false},
		{standing{RankAnswer, dnssec.Secure}, standing{RankAnswer, dnssec.Insecure}, true},
		{standing{RankAnswer, dnssec.Secure}, standing{RankAnswer, dnssec.Secure}, true},
		{standing{RankAnswer, dnssec.Secure}, standing{RankAnswer, dnssec.Bogus}, false},
		{standing{RankAnswer, dnssec.Insecure}, standing{RankAnswer, dnssec.Indeterminate}, true},
		{standing{RankAnswer, dnssec.Indeterminate}, standing{RankAnswer, dnssec.Secure}, true},
		{standing{RankAnswer, dnssec.Bogus}, standing{RankAnswer, dnssec.Bogus}, true},
	} {
		if got := mayReplace(tt.old, tt.new); got != tt.want {
			t.Errorf("mayReplace(%v %v, %v %v) = %v, want %v",
				tt.old.rank, tt.old.status, tt.new.rank, tt.new.status, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		got, want string
	}{
		{RankGlue.String(), "glue"}, {RankReferral.String(), "referral"}, {RankNonAuthoritative.String(), "non-authoritative"},
		{RankAuthority.String(), "authority"}, {RankAnswer.String(), "answer"}, {RankLocal.String(), "local"}, {Rank(99).String(), "unknown"},
		{Checked.String(), "checked"}, {Unchecked.String(), "unchecked"}, {Trust(9).String(), "unknown"},
		{KindRRset.String(), "rrset"}, {KindTypes.String(), "types"}, {KindGlue.String(), "glue"}, {Kind(15).String(), "unknown"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
