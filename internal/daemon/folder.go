// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Folder is a data folder: what a daemon keeps on disk, and how commands find a
// running one.
type Folder string

// The files of a data folder. Everything in it is readable by its owner only.
const (
	etcdFolder      = "etcd"
	instanceFile    = "instance"
	credentialsFile = "credentials.json"
	runtimeFile     = "running.json"
	desiredFile     = "desired.txt"
)

// Credentials sign requests to a Postern.
type Credentials struct {
	Account         string `json:"account"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// Running says where a daemon can be reached.
type Running struct {
	PID      int    `json:"pid"`
	Endpoint string `json:"endpoint"`
	Region   string `json:"region"`
	Version  string `json:"version"`
}

// DesiredFile is the path of the text copy of the desired state.
func (f Folder) DesiredFile() string { return f.path(desiredFile) }

func (f Folder) path(name string) string { return filepath.Join(string(f), name) }

var instancePattern = regexp.MustCompile(`^[a-z0-9]{1,8}$`)

// Instance reads the mark of what this folder's daemon makes in the kernel;
// fs.ErrNotExist says that no daemon ever ran here.
func (f Folder) Instance() (string, error) {
	text, err := os.ReadFile(f.path(instanceFile))
	if err != nil {
		return "", fmt.Errorf("read instance of data folder: %w", err)
	}
	instance := strings.TrimSpace(string(text))
	if !instancePattern.MatchString(instance) {
		return "", fmt.Errorf("read instance of data folder: %s holds %q, want one to eight lower-case letters and digits", f.path(instanceFile), instance)
	}
	return instance, nil
}

// makeInstance reads the instance, or chooses one at first start.
func (f Folder) makeInstance() (string, error) {
	instance, err := f.Instance()
	if !errors.Is(err, fs.ErrNotExist) {
		return instance, err
	}
	instance = strings.ToLower(rand.Text()[:5])
	if err := f.write(instanceFile, []byte(instance+"\n")); err != nil {
		return "", err
	}
	return instance, nil
}

// Credentials reads the administrator's key of the first account.
func (f Folder) Credentials() (Credentials, error) {
	var c Credentials
	return c, f.read(credentialsFile, &c)
}

// Running reads where the folder's daemon is; fs.ErrNotExist says that none runs.
func (f Folder) Running() (Running, error) {
	var r Running
	return r, f.read(runtimeFile, &r)
}

func (f Folder) read(name string, into any) error {
	text, err := os.ReadFile(f.path(name))
	if err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s: %w", f.path(name), err)
	}
	return nil
}

func (f Folder) writeJSON(name string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path(name), err)
	}
	return f.write(name, append(text, '\n'))
}

// write puts a file in place at once, so that no reader and no crash sees half
// of it.
func (f Folder) write(name string, text []byte) error {
	temporary, err := os.CreateTemp(string(f), "."+name+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path(name), err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), f.path(name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path(name), err)
	}
	return nil
}
