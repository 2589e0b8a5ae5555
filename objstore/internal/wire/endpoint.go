package wire

import (
	"fmt"
	"net/url"
)

// CheckEndpoint refuses what is no http or https URL of a host, and one that
// holds a password. Like is how one looks; where says from where credentials
// are to come.
func CheckEndpoint(endpoint, like, where string) error {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("the endpoint must look like %s", like)
	}
	if u.User != nil {
		return fmt.Errorf("the endpoint holds a user name or password: give credentials by %s", where)
	}
	return nil
}
