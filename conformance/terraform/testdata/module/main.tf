# What the most used module for VPCs makes of them, in its order: subnets of three kinds,
# each with tables and associations of their own, a NAT gateway for each zone, gateways,
# and the defaults taken over.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0"
    }
  }
}

variable "changed" {
  description = "Change what can be changed in place."
  type        = bool
  default     = false
}

provider "aws" {}

locals {
  zones = ["us-east-1a", "us-east-1b"]
  open = [
    { number = 100, cidr = "0.0.0.0/0", cidr6 = null },
    { number = 101, cidr = null, cidr6 = "::/0" },
  ]
}

resource "aws_vpc" "this" {
  cidr_block                       = "10.0.0.0/16"
  assign_generated_ipv6_cidr_block = true
  enable_dns_hostnames             = true
  tags                             = { Name = "module" }
}

resource "aws_vpc_ipv4_cidr_block_association" "this" {
  vpc_id     = aws_vpc.this.id
  cidr_block = "10.1.0.0/16"
}

resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_default_network_acl" "this" {
  default_network_acl_id = aws_vpc.this.default_network_acl_id
  subnet_ids             = null

  dynamic "ingress" {
    for_each = local.open
    content {
      rule_no         = ingress.value.number
      action          = "allow"
      protocol        = "-1"
      from_port       = 0
      to_port         = 0
      cidr_block      = ingress.value.cidr
      ipv6_cidr_block = ingress.value.cidr6
    }
  }

  dynamic "egress" {
    for_each = local.open
    content {
      rule_no         = egress.value.number
      action          = "allow"
      protocol        = "-1"
      from_port       = 0
      to_port         = 0
      cidr_block      = egress.value.cidr
      ipv6_cidr_block = egress.value.cidr6
    }
  }

  tags = { Name = "module-default" }

  lifecycle {
    ignore_changes = [subnet_ids]
  }
}

resource "aws_default_route_table" "this" {
  default_route_table_id = aws_vpc.this.default_route_table_id
  tags                   = { Name = "module-default" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.changed ? "way-out" : "module" }
}

resource "aws_egress_only_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "module" }
}

resource "aws_subnet" "public" {
  count                           = 2
  vpc_id                          = aws_vpc.this.id
  availability_zone               = local.zones[count.index]
  cidr_block                      = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.this.ipv6_cidr_block, 8, count.index)
  assign_ipv6_address_on_creation = true
  map_public_ip_on_launch         = true
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "module-public" }
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route" "public6" {
  route_table_id              = aws_route_table.public.id
  destination_ipv6_cidr_block = "::/0"
  gateway_id                  = aws_internet_gateway.this.id
}

resource "aws_eip" "nat" {
  count      = 2
  domain     = "vpc"
  tags       = { Name = "module-${local.zones[count.index]}" }
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  count         = 2
  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id
  tags          = { Name = "module-${local.zones[count.index]}" }
  depends_on    = [aws_internet_gateway.this]
}

# Beside what the module makes: one with more addresses, and a private one with two.
resource "aws_eip" "more" {
  count      = 2
  domain     = "vpc"
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "more" {
  allocation_id            = aws_eip.more[0].id
  secondary_allocation_ids = [aws_eip.more[1].id]
  subnet_id                = aws_subnet.public[0].id
  depends_on               = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "private" {
  connectivity_type                  = "private"
  secondary_private_ip_address_count = 1
  subnet_id                          = aws_subnet.private[0].id
}

resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 8, 10 + count.index)
  ipv6_cidr_block   = cidrsubnet(aws_vpc.this.ipv6_cidr_block, 8, 10 + count.index)
}

resource "aws_route_table" "private" {
  count  = 2
  vpc_id = aws_vpc.this.id
  tags   = { Name = "module-private-${local.zones[count.index]}" }
}

resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

resource "aws_route" "private" {
  count                  = 2
  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[count.index].id
}

resource "aws_route" "private6" {
  count                       = 2
  route_table_id              = aws_route_table.private[count.index].id
  destination_ipv6_cidr_block = "::/0"
  egress_only_gateway_id      = aws_egress_only_internet_gateway.this.id
}

# The module's subnets for databases have a network ACL of their own when it is told so.
resource "aws_subnet" "database" {
  vpc_id            = aws_vpc_ipv4_cidr_block_association.this.vpc_id
  availability_zone = local.zones[0]
  cidr_block        = "10.1.0.0/24"
}

resource "aws_network_acl" "database" {
  vpc_id     = aws_vpc.this.id
  subnet_ids = [aws_subnet.database.id]
  tags       = { Name = "module-db" }
}

resource "aws_network_acl_rule" "database" {
  for_each       = { in = false, out = true }
  network_acl_id = aws_network_acl.database.id
  rule_number    = 100
  egress         = each.value
  protocol       = each.value ? "-1" : "tcp"
  rule_action    = "allow"
  cidr_block     = aws_vpc.this.cidr_block
  from_port      = each.value ? null : 5432
  to_port        = each.value ? null : (var.changed ? 5433 : 5432)
}

output "address" {
  value = aws_nat_gateway.this[0].public_ip == aws_eip.nat[0].public_ip
}
