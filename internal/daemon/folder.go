// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/desired"
)

// Folder is a data folder: what a daemon keeps on disk, and how commands find a
// running one.
type Folder string

// The files of a data folder. Everything in it is readable by its owner only, but for
// bundleFile, which is for all.
const (
	etcdFolder      = "etcd"
	instanceFile    = "instance"
	hostFile        = "host"
	credentialsFile = "credentials.json"
	sealingFile     = "sealing-keys"
	runtimeFile     = "running.json"
	desiredFile     = "desired.txt"
	ballastFile     = "ballast"
	bundleFile      = "api-ca.pem"
	auditFolder     = "audit"
	databasesFolder = "databases"
)

// Credentials sign requests to a Postern.
type Credentials struct {
	Account         string `json:"account"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// Running says where a daemon can be reached.
type Running struct {
	PID int    `json:"pid"`
	URL string `json:"endpoint"`
	// TLS is the URL over TLS, when there is one.
	TLS     string `json:"tlsEndpoint,omitempty"`
	Region  string `json:"region"`
	Version string `json:"version"`
	// StoreQuota is how large the embedded store may grow, in bytes; zero when
	// there is none.
	StoreQuota int64 `json:"storeQuota,omitempty"`
	// Metrics is where they are, when they are served.
	Metrics string `json:"metrics,omitempty"`
}

// DesiredFile is the path of the text copy of the desired state.
func (f Folder) DesiredFile() string { return f.path(desiredFile) }

// BundleFile is the path of the certificate authorities by which clients know the API
// over TLS, in PEM. There is none when only others know them.
func (f Folder) BundleFile() string { return f.path(bundleFile) }

// Desired prints what the host was last told, from its copy.
func (f Folder) Desired() (string, error) {
	c, err := agent.ReadCopy(f.DesiredFile(), desired.Kinds()...)
	return desired.Records(c.Entries), err
}

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
		return "", fmt.Errorf("read instance of data folder: %[1]s holds %[2]q, want one to eight lower-case letters and digits; "+
			"if it was damaged, remove it: the next start takes the mark from the state", f.path(instanceFile), instance)
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
	return instance, f.writeInstance(instance)
}

func (f Folder) writeInstance(instance string) error {
	return f.write(instanceFile, []byte(instance+"\n"))
}

// hostName reads under which name the folder's host is in the state;
// fs.ErrNotExist says that it has none yet.
func (f Folder) hostName() (string, error) {
	text, err := os.ReadFile(f.path(hostFile))
	if err != nil {
		return "", fmt.Errorf("read host name of data folder: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (f Folder) writeHostName(name string) error {
	if known, err := f.hostName(); err == nil && known == name {
		return nil
	}
	return f.write(hostFile, []byte(name+"\n"))
}

// HostName is the name of the host that a folder belongs to: the one that it was
// used under, also when the machine is another one or is called otherwise now, or
// else that of the machine. It is empty when there is none.
func (f Folder) HostName() string {
	if name, err := f.hostName(); err == nil && name != "" {
		return name
	}
	name, _ := os.Hostname()
	return name
}

// holdsStore reports whether an embedded store was made here, or begun: that is
// after the instance was chosen.
func (f Folder) holdsStore() bool {
	_, err := os.Stat(filepath.Join(f.path(etcdFolder), "member"))
	return err == nil
}

// wasUsed reports whether a server was ready here once, so that there is state
// in the folder, or in the cluster that it was used with.
func (f Folder) wasUsed() bool {
	_, err := os.Stat(f.path(credentialsFile))
	return err == nil
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
	return f.keep(name, append(text, '\n'))
}

// keep writes a small file that a start needs, when it does not have the text already.
func (f Folder) keep(name string, text []byte) error {
	if old, err := os.ReadFile(f.path(name)); err == nil && bytes.Equal(old, text) {
		return nil
	}
	err := f.write(name, text)
	if isFull(err) {
		// These files have room when others filled the disk.
		if os.Remove(f.path(ballastFile)) == nil {
			err = f.write(name, text)
		}
	}
	return err
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// ballastBytes is how large the file is that gives its room to others when the
// disk is full.
const ballastBytes = 64 << 10

// keepBallast makes the ballast when it is not there.
func (f Folder) keepBallast() error {
	if info, err := os.Stat(f.path(ballastFile)); err == nil && info.Size() == ballastBytes {
		return nil
	}
	return f.write(ballastFile, make([]byte, ballastBytes))
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
