package mountopts

import (
	"net/url"
	"slices"
	"strings"
)

// public are the query parameters of a source URL that are no secrets. All
// others are hidden when a URL is shown, known or not: a provider's access
// token in a URL (sig=, X-Amz-Signature=) is as good as a password.
var public = []string{
	"endpoint", "region", "profile", "path-style", "ca-file", "anonymous",
	"account", "jurisdiction", "impersonate", "user-project", "project", "one-stream", "container", "tier",
}

const hidden = "xxxxx"

// Redact returns text fit for logs and messages: passwords, and values of
// query parameters that are not known to be harmless, are hidden.
func Redact(text string) string {
	if !strings.ContainsAny(text, "@?=#") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme == "" && u.RawQuery == "" && u.Fragment == "") {
		if strings.Contains(text, "://") || strings.ContainsAny(text, "?@") {
			return hidden
		}
		return text
	}
	if u.User != nil {
		u.User = url.User(hidden)
	}
	u.Fragment, u.RawFragment = "", ""
	if u.RawQuery != "" {
		u.RawQuery = redactQuery(u.RawQuery)
	}
	return u.String()
}

func redactQuery(raw string) string {
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(value)
		switch {
		case !ok:
			parts[i] = hidden
		case err != nil || !slices.Contains(public, paramName(name)):
			parts[i] = name + "=" + hidden
		default:
			// An endpoint is a URL again, with secrets of its own.
			if r := Redact(plain); r != plain {
				parts[i] = name + "=" + r
			}
		}
	}
	return strings.Join(parts, "&")
}

// FsName is the source as mount tables show it: no query, no user, no commas.
func (o *Options) FsName() string {
	u, err := url.Parse(o.Source)
	if err != nil {
		return "pailfs"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return strings.ReplaceAll(u.String(), ",", "%2C")
}

// String shows every option, without secrets, as one could write it after -o.
func (o Options) String() string {
	var b strings.Builder
	b.WriteString(Redact(o.Source))
	b.WriteString(" ")
	b.WriteString(o.Mountpoint)
	sep := " -o "
	for _, item := range o.kernelOptions() {
		b.WriteString(sep + item)
		sep = ","
	}
	for _, r := range o.rows {
		if v := r.value.String(); v != "" {
			b.WriteString(sep + r.name + "=" + Redact(v))
			sep = ","
		}
	}
	return b.String()
}

// GoString keeps %#v from showing what String hides.
func (o Options) GoString() string { return o.String() }
