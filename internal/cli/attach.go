// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/client"
	"github.com/posternhq/postern/internal/dataplane/handover"
)

// attachTimeout bounds how long a command waits for the data plane.
const attachTimeout = 30 * time.Second

type attachCommand struct {
	location
	Interface string `arg:"" help:"Identifier of the network interface." placeholder:"ENI"`
	Netns     string `help:"Name of the namespace, as ip netns shows it." placeholder:"NAME" xor:"namespace" required:""`
	PID       int    `name:"pid" help:"A process in the namespace." placeholder:"PID" xor:"namespace" required:""`
	Device    string `help:"Name of the device in the namespace." default:"eth0"`

	ResolvConf bool `name:"resolv-conf" help:"Write /etc/netns/NAME/resolv.conf, which ip netns exec shows to programs. With --netns."`
}

func (c *attachCommand) Run(in *Invocation) error {
	if c.ResolvConf && c.Netns == "" {
		return errors.New("attach: --resolv-conf is for a namespace with a name, --netns")
	}
	t, err := c.find(in)
	if err != nil {
		return err
	}
	path, offer := "/run/netns/"+c.Netns, handover.Offer{Name: c.Netns}
	if c.Netns == "" {
		path, offer = fmt.Sprintf("/proc/%d/ns/net", c.PID), handover.Offer{PID: c.PID}
	}
	handle, err := c.handOver(in.Context, t, path, offer)
	if err != nil {
		return err
	}
	attached, err := attach(in.Context, t.client(), postern.AttachNetworkInterfaceInput{
		NetworkInterfaceId: &c.Interface, NetnsHandle: &handle, DeviceName: &c.Device,
	})
	if err != nil {
		return err
	}
	names := namesOf(attached)
	if c.ResolvConf && !names.empty() {
		err = names.writeFor(netnsFolder, c.Netns)
	}
	text := fmt.Sprintf("%s is %s with %s\n", c.Interface, *attached.DeviceName, strings.Join(slices.Concat(attached.Addresses, attached.Prefixes), " "))
	if !names.empty() {
		text += "resolv.conf: " + strings.Join(names.lines(), "; ") + "\n"
	}
	_, said := fmt.Fprint(in.Stdout, text)
	return errors.Join(err, said)
}

// handOver opens a namespace and hands it to the Postern of the data folder. The
// handle that it gets for it is for the target's key.
func (l location) handOver(ctx context.Context, t target, path string, offer handover.Offer) (string, error) {
	ns, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("find the namespace: %w", err)
	}
	defer ns.Close()
	offer.AccessKeyID = t.accessKeyID
	handle, err := handover.Give(ctx, l.Data, ns, offer)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return "", fmt.Errorf("hand the namespace over: no Postern is running on %s; name its data folder with --data or POSTERN_DATA", l.Data)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("hand the namespace over: the way to %s is not open to you", l.Data)
	}
	return handle, err
}

// attach asks for an attachment and waits until the data plane has made it.
// When it cannot, the request is taken back.
func attach(ctx context.Context, c *client.Client, input postern.AttachNetworkInterfaceInput) (*postern.GetAttachmentOutput, error) {
	var made postern.AttachNetworkInterfaceOutput
	if err := c.Do(ctx, postern.Service, "AttachNetworkInterface", &input, &made); err != nil {
		return nil, err
	}
	var found postern.GetAttachmentOutput
	err := poll(ctx, attachTimeout, func() (bool, error) {
		found = postern.GetAttachmentOutput{}
		err := c.Do(ctx, postern.Service, "GetAttachment", &postern.GetAttachmentInput{NetworkInterfaceId: made.NetworkInterfaceId}, &found)
		if err != nil {
			return false, err
		}
		if *found.Status == postern.AttachmentStatusFailed {
			return false, fmt.Errorf("attach %s: %s", *made.NetworkInterfaceId, *found.Reason)
		}
		return *found.Status == postern.AttachmentStatusAttached, nil
	})
	if err != nil {
		return nil, errors.Join(err, detach(context.WithoutCancel(ctx), c, *made.NetworkInterfaceId))
	}
	return &found, nil
}

// detach takes an attachment back and waits until it is gone.
func detach(ctx context.Context, c *client.Client, eni string) error {
	err := c.Do(ctx, postern.Service, "DetachNetworkInterface", &postern.DetachNetworkInterfaceInput{NetworkInterfaceId: &eni}, &postern.DetachNetworkInterfaceOutput{})
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return poll(ctx, attachTimeout, func() (bool, error) {
		err := c.Do(ctx, postern.Service, "GetAttachment", &postern.GetAttachmentInput{NetworkInterfaceId: &eni}, &postern.GetAttachmentOutput{})
		if notFound(err) {
			return true, nil
		}
		return false, err
	})
}

func notFound(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Code == "ResourceNotFoundException"
}

// poll asks until the answer is yes, quickly at first.
func poll(ctx context.Context, timeout time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the data plane: %w", ctx.Err())
		case <-time.After(wait):
		}
	}
}

type detachCommand struct {
	location
	Interface string `arg:"" help:"Identifier of the network interface." placeholder:"ENI"`
}

func (c *detachCommand) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	return detach(in.Context, t.client(), c.Interface)
}
