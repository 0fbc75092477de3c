package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// asProgram, set in the environment, makes the test binary the program, for tests that kill it.
const asProgram = "BULK_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// outcome is what a run left.
type outcome struct {
	status         int
	stdout, stderr string
	records        []record
}

// bulk runs the program in this process.
func bulk(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return outcome{status, stdout.String(), stderr.String(), parseRecords(t, stdout.String())}
}

// bySeq returns the records by number, and fails if one is there twice.
func bySeq(t *testing.T, records []record) map[uint64]record {
	t.Helper()
	all := make(map[uint64]record, len(records))
	for _, r := range records {
		if _, twice := all[r.Seq]; twice {
			t.Errorf("question %d is there twice", r.Seq)
		}
		all[r.Seq] = r
	}
	return all
}

// parseRecords reads lines, each of which has to be what the schema says.
func parseRecords(t *testing.T, text string) []record {
	t.Helper()
	compiled := compileSchema(t)
	var records []record
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, firstBytes) {
			return nil // not an output of lines
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatalf("%v in line %s", err, line)
		}
		if err := compiled.Validate(value); err != nil {
			t.Errorf("not what the schema says: %v\n%s", err, line)
		}
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("bulk.json", value); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("bulk.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// world is a mock Internet whose log the test reads.
type world struct {
	*testing.T
	in *resolvertest.Internet
}

func newWorld(t *testing.T, text string) *world { return &world{t, resolvertest.New(t, text)} }

// bulk resolves a list in the world.
func (w *world) bulk(list string, args ...string) []record {
	w.Helper()
	c, err := parseArgs(append(args, "-progress", "none"), io.Discard)
	if err != nil {
		w.Fatal(err)
	}
	p, err := newPlace(c)
	if err != nil {
		w.Fatal(err)
	}
	defer p.close()
	limits, store := p.options.Limits, p.options.Cache
	p.options = w.in.Options()
	p.options.Limits, p.options.Cache, p.options.DisablePrefetch = limits, store, true
	var lines bytes.Buffer
	out := &output{to: sink{Writer: &lines}, synced: time.Now()}
	b, err := newBatch(c, p, out, &written{})
	if err != nil {
		w.Fatal(err)
	}
	b.progress = newProgress(c, io.Discard, 0, b.tally)
	err = b.run(context.Background(), &lists{stdin: strings.NewReader(list), config: c}, survey{})
	if err != nil {
		w.Error(err)
	}
	for _, err := range []error{b.close(), out.close()} {
		if err != nil {
			w.Error(err)
		}
	}
	return parseRecords(w.T, lines.String())
}
