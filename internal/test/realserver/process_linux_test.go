package realserver

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

// A program's copy runs: what AppArmor makes necessary works where it is off too.
func TestCopyProgramRuns(t *testing.T) {
	Need(t, BIND)
	binary, err := BIND.binary()
	if err != nil {
		t.Fatal(err)
	}
	program, err := copyProgram(binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readyWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-v").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "BIND ") {
		t.Errorf("%s -v: got %q, %v, want BIND and its version", program, out, err)
	}
}
