package mountopts

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule is a rate, in bytes a second, that may change with the time of day.
// Nil is any rate.
type Schedule []Period

// Period begins at a time of day and lasts until the next one does.
type Period struct {
	From time.Duration // since midnight, local time
	Rate int64         // bytes a second; 0 is any
}

// At is the rate at a time.
func (s Schedule) At(at time.Time) int64 {
	if len(s) == 0 {
		return 0
	}
	now := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	current := s[len(s)-1] // of yesterday
	for _, p := range s {
		if p.From <= now {
			current = p
		}
	}
	return current.Rate
}

func (s Schedule) String() string {
	if len(s) == 1 && s[0].From == 0 {
		return formatRate(s[0].Rate)
	}
	var parts []string
	for _, p := range s {
		parts = append(parts, fmt.Sprintf("%02d:%02d=%s", p.From/time.Hour, p.From%time.Hour/time.Minute, formatRate(p.Rate)))
	}
	return strings.Join(parts, "/")
}

// ParseSchedule reads RATE, or HH:MM=RATE/HH:MM=RATE/... Each rate is a size, with
// or without /s, or off.
func ParseSchedule(text string) (Schedule, error) {
	if !strings.Contains(text, "=") {
		rate, err := parseRate(text)
		if err != nil || rate == 0 {
			return nil, err
		}
		return Schedule{{0, rate}}, nil
	}
	var s Schedule
	text = strings.ReplaceAll(text, "/s", "")
	for part := range strings.SplitSeq(text, "/") {
		clock, value, _ := strings.Cut(part, "=")
		at, err := time.Parse("15:04", strings.TrimSpace(clock))
		if err != nil {
			return nil, fmt.Errorf("%q is no time of day such as 08:00", clock)
		}
		rate, err := parseRate(value)
		if err != nil {
			return nil, err
		}
		s = append(s, Period{time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute, rate})
	}
	slices.SortFunc(s, func(a, b Period) int { return cmp.Compare(a.From, b.From) })
	for i := range s[1:] {
		if s[i].From == s[i+1].From {
			return nil, errors.New("a time of day comes twice")
		}
	}
	return s, nil
}

// minRate keeps a request from being broken off for its silence.
const minRate = 4 << 10

func parseRate(text string) (int64, error) {
	text = strings.TrimSuffix(strings.TrimSpace(text), "/s")
	if text == "off" {
		return 0, nil
	}
	n, err := ParseSize(text)
	switch {
	case err != nil:
		return 0, errors.New("must be a rate such as 10M or off, or times with rates such as 08:00=2M/18:00=off")
	case n != 0 && n < minRate:
		return 0, fmt.Errorf("must be at least %s a second", FormatSize(minRate))
	}
	return n, nil
}

func formatRate(n int64) string {
	if n == 0 {
		return "off"
	}
	return FormatSize(n)
}

type scheduleValue Schedule

func (v *scheduleValue) String() string { return Schedule(*v).String() }
func (v *scheduleValue) Type() string   { return "rate" }
func (v *scheduleValue) Set(s string) error {
	parsed, err := ParseSchedule(s)
	if err != nil {
		return err
	}
	*v = scheduleValue(parsed)
	return nil
}
