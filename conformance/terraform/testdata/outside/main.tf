# Internet gateways attached by themselves and by a resource of their own, an egress-only
# one, elastic addresses in each way, and subnets with public addresses.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

provider "aws" {}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

resource "aws_vpc" "a" {
  cidr_block                       = "10.0.0.0/16"
  assign_generated_ipv6_cidr_block = true
  enable_dns_hostnames             = true
}

resource "aws_vpc" "b" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_internet_gateway" "a" {
  vpc_id = aws_vpc.a.id
  tags   = { Name = var.changed ? "changed" : "out" }
}

resource "aws_internet_gateway" "b" {}

resource "aws_internet_gateway_attachment" "b" {
  internet_gateway_id = aws_internet_gateway.b.id
  vpc_id              = aws_vpc.b.id
}

resource "aws_egress_only_internet_gateway" "a" {
  vpc_id = aws_vpc.a.id
  tags   = { Name = var.changed ? "changed" : "out" }
}

resource "aws_subnet" "a" {
  vpc_id                  = aws_vpc.a.id
  cidr_block              = "10.0.0.0/24"
  map_public_ip_on_launch = !var.changed
}

resource "aws_route_table" "a" {
  vpc_id = aws_vpc.a.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.a.id
  }

  route {
    ipv6_cidr_block        = "::/0"
    egress_only_gateway_id = aws_egress_only_internet_gateway.a.id
  }
}

resource "aws_route_table_association" "a" {
  subnet_id      = aws_subnet.a.id
  route_table_id = aws_route_table.a.id
}

resource "aws_network_interface" "a" {
  count       = 2
  subnet_id   = aws_subnet.a.id
  private_ips = ["10.0.0.1${count.index}"]
}

resource "aws_eip" "direct" {
  domain            = "vpc"
  network_interface = aws_network_interface.a[0].id
  tags              = { Name = var.changed ? "changed" : "direct" }
  depends_on        = [aws_internet_gateway.a]
}

resource "aws_eip" "apart" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.a]
}

resource "aws_eip_association" "apart" {
  allocation_id        = aws_eip.apart.id
  network_interface_id = aws_network_interface.a[1].id
}

data "aws_network_interface" "shown" {
  id         = aws_network_interface.a[1].id
  depends_on = [aws_eip_association.apart]
}

data "aws_internet_gateway" "found" {
  filter {
    name   = "attachment.vpc-id"
    values = [aws_internet_gateway.a.vpc_id]
  }
}

data "aws_eip" "found" {
  id = aws_eip.direct.id
}

output "public" {
  value = aws_eip.apart.public_ip
}

output "shown" {
  value = data.aws_network_interface.shown.association[0].public_ip
}
