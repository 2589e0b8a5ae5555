package integration

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestDoctor: every right that a mount needs is tried on the server, and nothing
// of it stays.
func TestDoctor(t *testing.T) {
	onTargets(t, func(t *testing.T, p *place) {
		out, err := p.pailfs("doctor", "--json", p.source)
		var found []struct{ Check, Result, Detail string }
		if err := json.NewDecoder(strings.NewReader(out)).Decode(&found); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		seen := map[string]string{}
		for _, f := range found {
			seen[f.Check] = f.Result
		}
		for _, check := range []string{"connect", "put", "stat", "clock", "get", "conditional writes", "copy", "upload by parts", "abort", "delete"} {
			if seen[check] != "ok" {
				t.Errorf("%s is %q", check, seen[check])
			}
		}
		if p.kind == "azure" && (seen["object lock"] != "ok" || seen["unfinished uploads"] != "ok") {
			t.Error("nothing is said of the container")
		}
		if t.Failed() || os.Geteuid() == 0 && err != nil {
			t.Errorf("%v: %s", err, out)
		}
		p.leftovers(t)
	}, everyMount...)
}
