package mountopts

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// placing are the options that a source URL may also carry, under the same
// name: where the bucket is, and by whose right.
var placing = []string{
	"endpoint", "region", "profile", "path-style", "ca-file",
	"access-key-id", "secret-access-key", "session-token",
	"account", "account-key", "sas", "connection-string",
	"credentials", "impersonate", "anonymous",
}

// aliases are names that other programs have for the same parameters in the
// URLs of their backups (CockroachDB, TiDB, rclone, Velero, az), after
// paramName.
var aliases = map[string]string{
	"access-key":       "access-key-id",
	"secret-key":       "secret-access-key",
	"force-path-style": "path-style",
	"key":              "account-key",
	"account-name":     "account",
	"sas-token":        "sas",
	"credentials-file": "credentials",
}

// paramName is the name of a parameter as pailfs writes it: AWS_ACCESS_KEY_ID
// is access-key-id.
func paramName(name string) string {
	name = normal(strings.ToLower(name))
	for _, owner := range []string{"aws-", "azure-"} {
		name = strings.TrimPrefix(name, owner)
	}
	if long, ok := aliases[name]; ok {
		return long
	}
	return name
}

// takeFromURL gives the parameters of the source their own names and moves the
// secrets among them to their options. After it no text that is made of Source
// holds one.
func (o *Options) takeFromURL(u *url.URL) error {
	var rest []string
	moved := false
	if u.User != nil {
		if err := o.takeUser(u); err != nil {
			return err
		}
		moved = true
	}
	for part := range strings.SplitSeq(u.RawQuery, "&") {
		raw, escaped, _ := strings.Cut(part, "=")
		name := paramName(raw)
		value, err := url.QueryUnescape(escaped)
		r, ok := o.row(name)
		if err != nil || !ok || !slices.Contains(placing, name) {
			rest = append(rest, part) // the driver's own, or a mistake that it finds
			continue
		}
		if r.isSecret() {
			moved = true
			if err := o.take(name, value); err != nil {
				return err
			}
			continue
		}
		moved = moved || raw != name
		rest = append(rest, name+"="+escaped)
		if have := r.value.String(); have != "" && value != "" && have != value && !r.isBool() {
			return &OptionError{Name: name, Value: have, Err: fmt.Errorf("the source URL says %s", Redact(value))}
		}
	}
	if moved {
		u.User, u.RawQuery = nil, strings.Join(rest, "&")
		o.Source = u.String()
	}
	return nil
}

// takeUser reads KEY:SECRET@ before the bucket.
func (o *Options) takeUser(u *url.URL) error {
	id, secret := "access-key-id", "secret-access-key"
	switch u.Scheme {
	case "azure", "azblob", "az":
		id, secret = "account", "account-key"
	case "gs", "gcs", "file":
		return fmt.Errorf("the source URL holds a user name: %s:// has none", u.Scheme)
	}
	password, ok := u.User.Password()
	if !ok {
		return errors.New("the source URL holds a user name without a password: write KEY:SECRET@, or better give neither there")
	}
	return errors.Join(o.take(id, u.User.Username()), o.take(secret, password))
}

// take sets an option from the URL. One that is set already must be the same.
func (o *Options) take(name, value string) error {
	r, _ := o.row(name)
	if have := raw(r.value); have != "" && have != value {
		return &OptionError{Name: name, Err: errors.New("is also in the source URL, and is not the same")}
	}
	return r.value.Set(value)
}

// URL is the source with the options that tell where it is, and by whose
// right, in its query. It is for opening the store, not for showing.
func (o *Options) URL() string {
	u, err := url.Parse(o.Source)
	if err != nil {
		return o.Source
	}
	q := u.Query()
	for _, name := range placing {
		r, _ := o.row(name)
		if value := raw(r.value); value != "" && !(r.isBool() && value == "false") {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return o.Source
	}
	u.RawQuery = q.Encode()
	return u.String()
}
