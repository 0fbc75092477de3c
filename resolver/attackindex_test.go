package resolver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/internal/wire"
	"github.com/iterdns/iterdns/resolver"
)

const (
	attackIndex   = "ATTACKS.md"
	attackClasses = 46 // known at the end of 2026
)

var (
	attackClass = regexp.MustCompile(`(?m)^(\d+)\. \*\*.*$`)
	attackLimit = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (\\w+) \\| `([^`]+)` \\| `([^`]+)` \\|$")
	attackTest  = regexp.MustCompile(`(?m)^func (TestAttack\w+)\(t `)
)

// TestAttackIndex: the page has every class of attacks with tests that exist, every limit
// with its default and the tests of both sides, and every test of the attack bench.
func TestAttackIndex(t *testing.T) {
	text, err := os.ReadFile(attackIndex)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	classes := attackClass.FindAllStringSubmatch(page, -1)
	for i, class := range classes {
		if class[1] != fmt.Sprint(i+1) {
			t.Errorf("class %s is in the place of %d", class[1], i+1)
		}
		proofs := rfcProof.FindAllStringSubmatch(class[0], -1)
		if len(proofs) == 0 {
			t.Errorf("no test is named for %.60q", class[0])
		}
		for _, proof := range proofs {
			if err := proofExists(proof[1]); err != nil {
				t.Error(err)
			}
		}
	}
	if len(classes) != attackClasses {
		t.Errorf("%d classes, want %d", len(classes), attackClasses)
	}
	wantLimits(t, page)
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range attackTest.FindAllSubmatch(text, -1) {
			if name := string(test[1]); !strings.Contains(page, "`"+name+"`") {
				t.Errorf("%s is not on the page", name)
			}
		}
	}
}

// wantLimits compares the table of limits with the code.
func wantLimits(t *testing.T, page string) {
	t.Helper()
	want := map[string]string{
		"MessageRecords": fmt.Sprint(wire.MaxRecords), "MessageNames": fmt.Sprint(wire.MaxExpanded),
		"NamePointers": fmt.Sprint(wire.MaxHops), "EDNSOptions": fmt.Sprint(wire.MaxOptions),
	}
	defaults := reflect.ValueOf(resolver.Limits{}.Filled())
	for field := range defaults.Type().Fields() {
		want[field.Name] = fmt.Sprint(defaults.FieldByIndex(field.Index).Interface())
	}
	rows := attackLimit.FindAllStringSubmatch(page, -1)
	for _, row := range rows {
		if value, ok := want[row[1]]; !ok || value != row[2] {
			t.Errorf("limit %s: the page has %s, the code %q", row[1], row[2], value)
		}
		delete(want, row[1])
		for _, proof := range row[3:] {
			if err := proofExists(proof); err != nil {
				t.Error(err)
			}
		}
	}
	for name := range want {
		t.Errorf("limit %s is not on the page", name)
	}
}
