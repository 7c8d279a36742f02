// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"
)

// The rules for tags, the same for all services:
// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
const (
	MaxTags        = 50
	maxTagKey      = 128
	maxTagValue    = 256
	reservedPrefix = "aws:"
)

// Tag is one tag as a request has it.
type Tag struct{ Key, Value string }

// TagError says which rule a tag breaks. Its text is fit for users.
type TagError struct {
	// Limit marks that a resource would have too many tags, each of them being fine.
	Limit   bool
	Problem string
}

// Error returns the problem.
func (e *TagError) Error() string { return e.Problem }

func tagError(format string, args ...any) *TagError {
	return &TagError{Problem: fmt.Sprintf(format, args...)}
}

// MakeTags checks the tags of a request and makes a map of them, nil for none.
// Errors are of type *TagError.
func MakeTags(list []Tag) (map[string]string, error) {
	var tags map[string]string
	for _, t := range list {
		if err := checkTag(t); err != nil {
			return nil, err
		}
		if _, twice := tags[t.Key]; twice {
			return nil, tagError("duplicate tag key '%s'", t.Key)
		}
		if tags == nil {
			tags = make(map[string]string)
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > MaxTags {
		return nil, &TagError{Limit: true, Problem: fmt.Sprintf("%d tags, a resource can have %d", len(tags), MaxTags)}
	}
	return tags, nil
}

// CheckTagMap is MakeTags for services whose requests have maps.
func CheckTagMap(tags map[string]string) error {
	list := make([]Tag, 0, len(tags))
	for k, v := range tags {
		list = append(list, Tag{k, v})
	}
	_, err := MakeTags(list)
	return err
}

// AddTags gives the tags of a resource with more added, which were checked
// before, or an error of type *TagError when they are too many. It changes
// neither map.
func AddTags(have, more map[string]string) (map[string]string, error) {
	all := maps.Clone(have)
	if all == nil {
		all = make(map[string]string, len(more))
	}
	maps.Copy(all, more)
	if len(all) > MaxTags {
		return nil, &TagError{Limit: true, Problem: fmt.Sprintf("the resource would have %d tags, it can have %d", len(all), MaxTags)}
	}
	return all, nil
}

func checkTag(t Tag) error {
	switch n := utf8.RuneCountInString(t.Key); {
	case n == 0:
		return tagError("a tag key must not be empty")
	case n > maxTagKey:
		return tagError("tag key '%s' has %d characters, at most %d are possible", t.Key, n, maxTagKey)
	}
	if n := utf8.RuneCountInString(t.Value); n > maxTagValue {
		return tagError("the value of tag '%s' has %d characters, at most %d are possible", t.Key, n, maxTagValue)
	}
	if strings.HasPrefix(strings.ToLower(t.Key), reservedPrefix) {
		return tagError("tag key '%s' starts with '%s', which is reserved", t.Key, reservedPrefix)
	}
	return nil
}
