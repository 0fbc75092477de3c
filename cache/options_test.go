package cache

import (
	"math"
	"reflect"
	"testing"
	"time"
)

// Every field has a default, and none of them is left out of withDefaults.
func TestOptionsAreFilled(t *testing.T) {
	filled := reflect.ValueOf(Options{}.withDefaults())
	for i := range filled.NumField() {
		field := filled.Type().Field(i).Name
		if off := field == "KeepStale"; filled.Field(i).IsZero() != off {
			t.Errorf("default of %s is %v", field, filled.Field(i))
		}
	}
	none := Options{MaxBytes: -1, MaxTTL: -1, MaxNegativeTTL: -1, KeepStale: -1, MaxEntry: -1, MaxRecords: -1, MaxTypes: -1}.withDefaults()
	none.Now = nil
	const ever = math.MaxUint32 * time.Second
	if want := (Options{MaxBytes: math.MaxInt64, MaxTTL: ever, MaxNegativeTTL: ever, KeepStale: ever,
		MaxEntry: math.MaxInt32, MaxRecords: math.MaxInt32, MaxTypes: math.MaxInt32}); !reflect.DeepEqual(none, want) {
		t.Errorf("without bounds: %+v, want %+v", none, want)
	}
	given := Options{MaxBytes: 1, MaxTTL: 2, MaxNegativeTTL: 3, KeepStale: 4, MaxEntry: 5, MaxRecords: 6, MaxTypes: 7}
	kept := given.withDefaults()
	kept.Now = nil
	if !reflect.DeepEqual(kept, given) {
		t.Errorf("what is given: %+v becomes %+v", given, kept)
	}
}

// A cache too small for anything holds nothing, and breaks nothing.
func TestTinyCache(t *testing.T) {
	for _, limit := range []int64{1, 100, 1000, 10_000} {
		v := newView(Options{MaxBytes: limit})
		fill(t, v, start)
		if got := v.cache.Bytes(); got > limit {
			t.Errorf("limit %d: %d bytes", limit, got)
		}
		useAll(t, v.cache)
	}
}
