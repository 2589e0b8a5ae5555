package mountopts

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Secrets are the names of the options that hold a secret: given as such, or,
// after Finish, in the source URL. Credentials that are a file are none.
func (o *Options) Secrets() []string {
	var names []string
	for _, r := range o.rows {
		if value := raw(r.value); r.isSecret() && isSecret(r.name, value) {
			names = append(names, r.name)
		}
	}
	return names
}

func isSecret(name, value string) bool {
	if name == "credentials" {
		return strings.HasPrefix(strings.TrimSpace(value), "{")
	}
	return value != ""
}

// URLSecrets are the names of the options that a source URL holds a secret for.
func URLSecrets(source string) []string {
	u, err := url.Parse(source)
	if err != nil || !strings.Contains(source, "://") {
		return nil
	}
	o := New()
	o.Source = source
	if err := o.takeFromURL(u); err != nil {
		return nil // whoever reads it will say so
	}
	return o.Secrets()
}

// EnvSecrets are the variables of an environment that hold a secret of an
// option, each as the flag that says the same, and the environment without
// them.
func (o *Options) EnvSecrets(environ []string) (asFlags, rest []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if r, ok := o.envRow(name); ok && r.isSecret() && isSecret(r.name, value) {
			asFlags = append(asFlags, "--"+r.name+"="+value)
			continue
		}
		rest = append(rest, e)
	}
	return asFlags, rest
}

// Scrub hides in a text the secrets of the options and of the source URL, for
// what others say: errors, log records, answers. The ID of an access key, which
// stores name in their refusals, and what is too short to be a secret stay.
func (o *Options) Scrub(text string) string {
	for _, s := range o.secretTexts() {
		text = strings.ReplaceAll(text, s, hidden)
	}
	return text
}

// secretTexts are all secrets, as they are and as they may be written, the
// longest first: one may be part of another.
func (o *Options) secretTexts() []string {
	texts := append(urlSecrets(o.Source), urlSecrets(o.Endpoint)...)
	for _, r := range o.rows {
		if value := raw(r.value); r.isSecret() && isSecret(r.name, value) && r.name != "access-key-id" {
			texts = append(texts, value)
			texts = append(texts, inner(value)...)
		}
	}
	var all []string
	for _, s := range texts {
		if len(s) < 4 {
			continue
		}
		quoted := strconv.Quote(s)
		all = append(all, s, url.QueryEscape(s), url.PathEscape(s), quoted[1:len(quoted)-1])
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(all)
}

// inner are the secrets within a secret: each of them may show up alone.
func inner(value string) []string {
	var out []string
	var key map[string]any // a Google key, or a user's credentials
	if json.Unmarshal([]byte(value), &key) == nil {
		for _, name := range []string{"private_key", "private_key_id", "client_secret", "refresh_token"} {
			if s, ok := key[name].(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	for part := range strings.SplitSeq(value, ";") { // a connection string
		name, s, _ := strings.Cut(part, "=")
		switch strings.ToLower(name) {
		case "accountkey":
			out = append(out, s)
		case "sharedaccesssignature":
			out = append(append(out, s), inner(s)...)
		}
	}
	if q, err := url.ParseQuery(strings.TrimPrefix(value, "?")); err == nil { // a signature
		out = append(out, q.Get("sig"))
	}
	return out
}

// urlSecrets are the password and the private query values of a URL.
func urlSecrets(source string) []string {
	u, err := url.Parse(source)
	if err != nil {
		return []string{source}
	}
	var out []string
	if pw, ok := u.User.Password(); ok {
		out = append(out, pw)
	}
	for name, values := range u.Query() {
		for _, v := range values {
			switch name = paramName(name); {
			case name == "endpoint":
				out = append(out, urlSecrets(v)...)
			case name == "credentials" && !isSecret(name, v):
			case !slices.Contains(public, name):
				out = append(out, v)
				out = append(out, inner(v)...)
			}
		}
	}
	return out
}
