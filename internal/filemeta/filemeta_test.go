package filemeta

import (
	"testing"
	"time"
)

func TestTime(t *testing.T) {
	for v, want := range map[string]time.Time{
		"1700000000":                  time.Unix(1700000000, 0),
		"1700000000.5":                time.Unix(1700000000, 5e8),
		"1700000000.123456789":        time.Unix(1700000000, 123456789),
		"1700000000.1234567891":       time.Unix(1700000000, 123456789),
		"-1.000000000":                time.Unix(-1, 0),
		"2023-11-14T22:13:20.5Z":      time.Unix(1700000000, 5e8),
		FormatTime(time.Unix(17, 42)): time.Unix(17, 42),
	} {
		if got, ok := ParseTime(v); !ok || !got.Equal(want) {
			t.Errorf("%q: %v, %v", v, got, ok)
		}
	}
	for _, v := range []string{"", "x", "1.x", "1.-5", "99999999999999999999"} {
		if got, ok := ParseTime(v); ok {
			t.Errorf("%q: %v", v, got)
		}
	}
}

func TestMode(t *testing.T) {
	for v, want := range map[string]uint32{"33188": 0o100644, "0100644": 0o100644, "0": 0, FormatMode(0o100755): 0o100755} {
		if got, ok := ParseMode(v); !ok || got != want {
			t.Errorf("%q: %o, %v", v, got, ok)
		}
	}
	for _, v := range []string{"", "-1", "rw", "09", "4294967296"} {
		if got, ok := ParseMode(v); ok {
			t.Errorf("%q: %o", v, got)
		}
	}
}
