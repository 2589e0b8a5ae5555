package mountopts

import (
	"strings"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	at := func(clock string) time.Time {
		c, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		text, shown string
		want        map[string]int64
	}{
		{"10M", "10MiB", map[string]int64{"00:00": 10 << 20, "23:59": 10 << 20}},
		{"10MB/s", "9765625KiB", nil},
		{"off", "", map[string]int64{"12:00": 0}},
		{"0", "", map[string]int64{"12:00": 0}},
		{"18:00=off/08:00=2M", "08:00=2MiB/18:00=off", map[string]int64{"07:59": 0, "08:00": 2 << 20, "17:59": 2 << 20, "18:00": 0, "03:00": 0}},
		{"08:00=2M/s/22:30=8M/s", "08:00=2MiB/22:30=8MiB", map[string]int64{"07:59": 8 << 20, "22:29": 2 << 20, "22:30": 8 << 20}},
	} {
		s, err := ParseSchedule(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		for clock, want := range c.want {
			if got := s.At(at(clock)); got != want {
				t.Errorf("%q at %s: %d, want %d", c.text, clock, got, want)
			}
		}
		if c.want != nil && s.String() != c.shown {
			t.Errorf("%q shows as %q", c.text, s)
		}
		if again, err := ParseSchedule(s.String()); s != nil && (err != nil || again.String() != s.String()) {
			t.Errorf("%q reads back as %q, %v", s, again, err)
		}
	}
	for text, want := range map[string]string{
		"fast": "must be a rate", "1": "at least 4KiB", "25:00=1M": "no time of day", "08:00=x": "must be a rate", "08:00=1M/08:00=2M": "twice", "08:00": "must be a rate",
	} {
		if _, err := ParseSchedule(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	o := New()
	if err := o.Parse("upload-limit=08:00=2M/18:00=off,request-limit=50"); err != nil || len(o.UploadLimit) != 2 || o.RequestLimit != 50 {
		t.Errorf("in a list of options: %v, %v", err, o.UploadLimit)
	}
}
