package listen

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What the dashboard and the alert rules ask for is served.
func TestDashboardAndAlerts(t *testing.T) {
	_, served := get(t, Handler(newFake(t), false), "/metrics")
	for _, name := range []string{"alerts.yml", "grafana-dashboard.json"} {
		text, err := os.ReadFile("../../../../docs/operations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var content map[string]any
		if strings.HasSuffix(name, ".json") {
			err = json.Unmarshal(text, &content)
		} else {
			err = yaml.Unmarshal(text, &content)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		metrics := regexp.MustCompile(`\b(?:pailfs|process)_[a-z_]+`).FindAllString(string(text), -1)
		if len(metrics) < 5 {
			t.Errorf("%s names %d metrics", name, len(metrics))
		}
		for _, m := range metrics {
			if !strings.Contains(served, "\n"+m+" ") && !strings.Contains(served, "\n"+m+"{") {
				t.Errorf("%s names %s, which is not served", name, m)
			}
		}
	}
}
