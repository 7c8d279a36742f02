// SPDX-License-Identifier: Apache-2.0

package ec2query_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
)

func BenchmarkDecodeCreateVpcEndpoint(b *testing.B) {
	op := ec2.Service.Operation("CreateVpcEndpoint")
	r := &codec.Request{Path: "/", Body: []byte("Action=CreateVpcEndpoint&Version=2016-11-15&VpcEndpointType=Resource&VpcId=vpc-0123456789abcdef0" +
		"&SubnetId.1=subnet-0123456789abcdef0&SecurityGroupId.1=sg-0123456789abcdef0&IpAddressType=ipv4&ClientToken=0f8fad5b-d9cb-469f-a165-70867728950e" +
		"&ResourceConfigurationArn=arn%3Aaws%3Avpc-lattice%3Aus-east-1%3A111122223333%3Aresourceconfiguration%2Frcfg-0123456789abcdef0" +
		"&TagSpecification.1.ResourceType=vpc-endpoint&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=db")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.DecodeRequest(op, r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeDescribeVpcEndpoints(b *testing.B) {
	for _, items := range []int{1, 100} {
		b.Run(fmt.Sprintf("items=%d", items), func(b *testing.B) {
			out := &ec2.DescribeVpcEndpointsOutput{}
			for range items {
				out.VpcEndpoints = append(out.VpcEndpoints, sampleEndpoint())
			}
			op := ec2.Service.Operation("DescribeVpcEndpoints")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := protocol.EncodeResponse(op, out, "request"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncodeCreateVpcEndpoint(b *testing.B) {
	op := ec2.Service.Operation("CreateVpcEndpoint")
	in := &ec2.CreateVpcEndpointInput{
		VpcEndpointType: ptr("Resource"), VpcId: ptr("vpc-0123456789abcdef0"), SubnetIds: []string{"subnet-0123456789abcdef0"},
		TagSpecifications: []ec2.TagSpecification{{ResourceType: ptr("vpc-endpoint"), Tags: []ec2.Tag{{Key: ptr("Name"), Value: ptr("db")}}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.EncodeRequest(op, in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeDescribeVpcEndpoints(b *testing.B) {
	for _, items := range []int{1, 100} {
		b.Run(fmt.Sprintf("items=%d", items), func(b *testing.B) {
			out := &ec2.DescribeVpcEndpointsOutput{}
			for range items {
				out.VpcEndpoints = append(out.VpcEndpoints, sampleEndpoint())
			}
			op := ec2.Service.Operation("DescribeVpcEndpoints")
			r, err := protocol.EncodeResponse(op, out, "request")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := protocol.DecodeResponse(op, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func sampleEndpoint() ec2.VpcEndpoint {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return ec2.VpcEndpoint{
		VpcEndpointId: ptr("vpce-0123456789abcdef0"), VpcEndpointType: ptr("Resource"), VpcId: ptr("vpc-0123456789abcdef0"),
		State: ptr("Available"), SubnetIds: []string{"subnet-0123456789abcdef0"},
		Groups:        []ec2.SecurityGroupIdentifier{{GroupId: ptr("sg-0123456789abcdef0"), GroupName: ptr("default")}},
		IpAddressType: ptr("ipv4"), PrivateDnsEnabled: ptr(false), RequesterManaged: ptr(false),
		NetworkInterfaceIds: []string{"eni-0123456789abcdef0"}, CreationTimestamp: &at,
		Tags: []ec2.Tag{{Key: ptr("Name"), Value: ptr("db")}}, OwnerId: ptr("111122223333"),
		ResourceConfigurationArn: ptr("arn:aws:vpc-lattice:us-east-1:111122223333:resourceconfiguration/rcfg-0123456789abcdef0"),
	}
}
