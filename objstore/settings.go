package objstore

// Settings are how a bucket is set up. Each is "on", "off", or "" where the
// store does not tell.
type Settings struct {
	Versioning string // what is overwritten or deleted can be got back
	ObjectLock string // or a retention policy: nobody deletes before the time
	AbortRule  string // a lifecycle rule aborts uploads that nobody finishes
}

// OnOff is the text of a setting.
func OnOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
