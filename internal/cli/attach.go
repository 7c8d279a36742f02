// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/client"
)

// attachTimeout bounds how long a command waits for the data plane.
const attachTimeout = 30 * time.Second

type attachCommand struct {
	location
	Interface string `arg:"" help:"Identifier of the network interface." placeholder:"ENI"`
	Netns     string `help:"Name of the namespace, as ip netns shows it." placeholder:"NAME" xor:"namespace" required:""`
	PID       int    `name:"pid" help:"A process in the namespace." placeholder:"PID" xor:"namespace" required:""`
	Device    string `help:"Name of the device in the namespace." default:"eth0"`
}

func (c *attachCommand) Run(in *Invocation) error {
	t, err := c.find(in)
	if err != nil {
		return err
	}
	input := postern.AttachNetworkInterfaceInput{NetworkInterfaceId: &c.Interface, DeviceName: &c.Device}
	path := "/run/netns/" + c.Netns
	if c.Netns != "" {
		input.NetnsName = &c.Netns
	} else {
		pid := int64(c.PID)
		input.Pid = &pid
		path = fmt.Sprintf("/proc/%d/ns/net", c.PID)
	}
	if input.NetnsInode, err = inodeOf(path); err != nil {
		return err
	}
	attached, err := attach(in.Context, t.client(), input)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.Stdout, "%s is %s with %s\n", c.Interface, *attached.DeviceName, strings.Join(attached.Addresses, " "))
	return err
}

// inodeOf gives the number by which a namespace differs from all others.
func inodeOf(path string) (*int64, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return nil, fmt.Errorf("find the namespace: %w", &os.PathError{Op: "stat", Path: path, Err: err})
	}
	inode := int64(stat.Ino)
	return &inode, nil
}

// attach asks for an attachment and waits until the data plane has made it.
// When it cannot, the request is taken back.
func attach(ctx context.Context, c *client.Client, input postern.AttachNetworkInterfaceInput) (*postern.GetAttachmentOutput, error) {
	if err := c.Do(ctx, postern.Service, "AttachNetworkInterface", &input, &postern.AttachNetworkInterfaceOutput{}); err != nil {
		return nil, err
	}
	var found postern.GetAttachmentOutput
	err := poll(ctx, attachTimeout, func() (bool, error) {
		found = postern.GetAttachmentOutput{}
		err := c.Do(ctx, postern.Service, "GetAttachment", &postern.GetAttachmentInput{NetworkInterfaceId: input.NetworkInterfaceId}, &found)
		if err != nil {
			return false, err
		}
		if *found.Status == postern.AttachmentStatusFailed {
			return false, fmt.Errorf("attach %s: %s", *input.NetworkInterfaceId, *found.Reason)
		}
		return *found.Status == postern.AttachmentStatusAttached, nil
	})
	if err != nil {
		return nil, errors.Join(err, detach(context.WithoutCancel(ctx), c, *input.NetworkInterfaceId))
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
