package iterdns

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// count checks how many arguments there are.
func count(args []string, least, most int) error {
	switch {
	case len(args) < least:
		return errNone
	case len(args) > most:
		return errMany
	}
	return nil
}

// isOn reads a switch.
func isOn(args []string) (bool, error) {
	if err := count(args, 1, 1); err != nil {
		return false, err
	}
	switch args[0] {
	case "on":
		return true, nil
	case "off":
		return false, nil
	}
	return false, errSwitch
}

// choose sets field to the value that the only argument is the word for.
func choose[T any](args []string, field *T, words []string, values []T) error {
	if err := count(args, 1, 1); err != nil {
		return err
	}
	i := slices.Index(words, args[0])
	if i < 0 {
		return fmt.Errorf("'%s' is none of %s", args[0], strings.Join(words, ", "))
	}
	*field = values[i]
	return nil
}

// minCache is the smallest cache: below it not even the root's servers stay in.
const minCache = 1 << 20

// parseSize reads a number of bytes such as 64MiB.
func parseSize(text string) (int64, error) {
	digits, unit := text, int64(1)
	for suffix, size := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if before, ok := strings.CutSuffix(text, suffix); ok {
			digits, unit = before, size
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil:
		return 0, fmt.Errorf("'%s' is no size such as 64MiB", text)
	case n > math.MaxInt64/unit:
		return 0, fmt.Errorf("%s is too large", text)
	case n*unit < minCache:
		return 0, fmt.Errorf("%s is too small: want 1MiB at least", text)
	}
	return n * unit, nil
}

// limitFields returns the limits that are numbers by their names in a Corefile, which are
// those of resolver.Limits in snake case.
func limitFields(l *resolver.Limits) map[string]*int {
	return map[string]*int{
		"sends":                   &l.Sends,
		"bytes":                   &l.Bytes,
		"sends_per_server":        &l.SendsPerServer,
		"failed_server_lookups":   &l.FailedServerLookups,
		"addresses_per_server":    &l.AddressesPerServer,
		"depth":                   &l.Depth,
		"aliases":                 &l.Aliases,
		"minimised":               &l.Minimised,
		"referrals":               &l.Referrals,
		"records":                 &l.Records,
		"signature_checks":        &l.SignatureChecks,
		"failed_signature_checks": &l.FailedSignatureChecks,
		"signature_cost":          &l.SignatureCost,
		"signatures_per_rrset":    &l.SignaturesPerRRset,
		"keys_per_tag":            &l.KeysPerTag,
		"ds_per_zone":             &l.DSPerZone,
		"nsec3_iterations":        &l.NSEC3Iterations,
		"nsec3_hashes":            &l.NSEC3Hashes,
		"queries_per_zone":        &l.QueriesPerZone,
		"queries_per_server":      &l.QueriesPerServer,
		"questions":               &l.Questions,
		"sockets":                 &l.Sockets,
		"connections":             &l.Connections,
	}
}

// setLimit sets one of the limits. 'none' stands for no limit; 0 is refused, since it would
// be the default, which would surprise.
func setLimit(l *resolver.Limits, name, value string) error {
	if name == "time" {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("time: '%s' is no time such as 10s", value)
		}
		l.Time = d
		return nil
	}
	field, ok := limitFields(l)[name]
	if !ok {
		return fmt.Errorf("unknown limit '%s'", name)
	}
	if value == "none" {
		*field = -1
		return nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n <= 0 {
		return fmt.Errorf("%s: '%s' is no number above 0, and not 'none'", name, value)
	}
	*field = n
	return nil
}

// What is wrong with the arguments of a property.
var (
	errNone   = errors.New("argument missing")
	errMany   = errors.New("too many arguments")
	errSwitch = errors.New("want 'on' or 'off'")
)
