# Network ACLs with rules of their own and as resources, associations, and the default one
# taken over as the most used VPC module does it.

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
}

resource "aws_subnet" "a" {
  count      = 3
  vpc_id     = aws_vpc.a.id
  cidr_block = "10.0.${count.index}.0/24"
}

resource "aws_network_acl" "inline" {
  vpc_id     = aws_vpc.a.id
  subnet_ids = var.changed ? [] : [aws_subnet.a[0].id]

  ingress {
    rule_no    = 100
    action     = "allow"
    protocol   = "tcp"
    from_port  = 80
    to_port    = var.changed ? 81 : 443
    cidr_block = "10.0.0.0/16"
  }

  ingress {
    rule_no    = 110
    action     = "deny"
    protocol   = "icmp"
    from_port  = 0
    to_port    = 0
    icmp_type  = 8
    icmp_code  = -1
    cidr_block = "0.0.0.0/0"
  }

  egress {
    rule_no         = 100
    action          = "allow"
    protocol        = -1
    from_port       = 0
    to_port         = 0
    ipv6_cidr_block = "::/0"
  }

  tags = { Name = var.changed ? "renamed" : "inline" }
}

resource "aws_network_acl" "apart" {
  vpc_id = aws_vpc.a.id
}

resource "aws_network_acl_rule" "apart" {
  for_each       = { udp = [17, 53], all = ["-1", null] }
  network_acl_id = aws_network_acl.apart.id
  rule_number    = each.key == "udp" ? 100 : 200
  egress         = each.key == "udp"
  protocol       = each.value[0]
  rule_action    = var.changed ? "deny" : "allow"
  cidr_block     = "0.0.0.0/0"
  from_port      = each.value[1]
  to_port        = each.value[1]
}

resource "aws_network_acl_association" "apart" {
  network_acl_id = aws_network_acl.apart.id
  subnet_id      = aws_subnet.a[1].id
}

resource "aws_default_network_acl" "a" {
  default_network_acl_id = aws_vpc.a.default_network_acl_id
  subnet_ids             = null

  dynamic "ingress" {
    for_each = var.changed ? [1] : [1, 2]
    content {
      rule_no         = 99 + ingress.value
      action          = "allow"
      protocol        = "-1"
      from_port       = 0
      to_port         = 0
      cidr_block      = ingress.value == 1 ? "0.0.0.0/0" : null
      ipv6_cidr_block = ingress.value == 1 ? null : "::/0"
    }
  }

  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }

  tags = { Name = "default" }

  lifecycle {
    ignore_changes = [subnet_ids]
  }
}

data "aws_network_acls" "a" {
  vpc_id     = aws_vpc.a.id
  depends_on = [aws_network_acl.inline, aws_network_acl.apart]
}

output "found" {
  value = length(data.aws_network_acls.a.ids)
}
