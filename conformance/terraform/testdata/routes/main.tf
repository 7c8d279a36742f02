# Route tables with routes of their own and as resources, main and default ones, and
# prefix lists with what refers to them.

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
  count      = 2
  vpc_id     = aws_vpc.a.id
  cidr_block = "10.0.${count.index}.0/24"
}

resource "aws_network_interface" "appliance" {
  count             = 2
  subnet_id         = aws_subnet.a[0].id
  source_dest_check = var.changed
}

resource "aws_ec2_managed_prefix_list" "inline" {
  name           = "inline"
  address_family = "IPv4"
  max_entries    = var.changed ? 6 : 5

  entry {
    cidr        = "192.0.2.0/24"
    description = "first"
  }

  dynamic "entry" {
    for_each = var.changed ? [] : ["198.51.100.0/24"]
    content {
      cidr = entry.value
    }
  }
}

resource "aws_ec2_managed_prefix_list" "apart" {
  name           = var.changed ? "renamed" : "apart"
  address_family = "IPv4"
  max_entries    = 5
}

resource "aws_ec2_managed_prefix_list_entry" "apart" {
  prefix_list_id = aws_ec2_managed_prefix_list.apart.id
  cidr           = "203.0.113.0/24"
  description    = "apart"
}

# Routes of the table's own.
resource "aws_route_table" "inline" {
  vpc_id = aws_vpc.a.id

  route {
    cidr_block           = "0.0.0.0/0"
    network_interface_id = aws_network_interface.appliance[var.changed ? 1 : 0].id
  }

  route {
    ipv6_cidr_block      = "::/0"
    network_interface_id = aws_network_interface.appliance[0].id
  }

  dynamic "route" {
    for_each = var.changed ? [] : ["172.16.0.0/12"]
    content {
      cidr_block           = route.value
      network_interface_id = aws_network_interface.appliance[0].id
    }
  }

  tags = { Name = "inline" }
}

resource "aws_route_table_association" "a" {
  count          = 2
  subnet_id      = aws_subnet.a[count.index].id
  route_table_id = var.changed && count.index == 1 ? aws_route_table.apart.id : aws_route_table.inline.id
}

# Public subnets as modules make them, and what comes in by way of an appliance.
resource "aws_internet_gateway" "a" {
  vpc_id = aws_vpc.a.id
}

resource "aws_egress_only_internet_gateway" "a" {
  vpc_id = aws_vpc.a.id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.a.id

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.a.id
  }

  route {
    ipv6_cidr_block        = "::/0"
    egress_only_gateway_id = aws_egress_only_internet_gateway.a.id
  }

  route {
    cidr_block = "10.0.0.0/16"
    gateway_id = "local"
  }

  route {
    ipv6_cidr_block = aws_vpc.a.ipv6_cidr_block
    gateway_id      = "local"
  }
}

resource "aws_route_table" "edge" {
  vpc_id = aws_vpc.a.id
}

resource "aws_route" "edge" {
  route_table_id         = aws_route_table.edge.id
  destination_cidr_block = aws_subnet.a[1].cidr_block
  network_interface_id   = aws_network_interface.appliance[0].id
}

resource "aws_route_table_association" "edge" {
  gateway_id     = aws_internet_gateway.a.id
  route_table_id = aws_route_table.edge.id
}

# Routes that are resources.
resource "aws_route_table" "apart" {
  vpc_id = aws_vpc.a.id
}

resource "aws_route" "four" {
  route_table_id         = aws_route_table.apart.id
  destination_cidr_block = "0.0.0.0/0"
  network_interface_id   = aws_network_interface.appliance[var.changed ? 1 : 0].id
}

resource "aws_route" "list" {
  route_table_id             = aws_route_table.apart.id
  destination_prefix_list_id = aws_ec2_managed_prefix_list.inline.id
  network_interface_id       = aws_network_interface.appliance[0].id
}

resource "aws_main_route_table_association" "a" {
  vpc_id         = aws_vpc.a.id
  route_table_id = aws_route_table.apart.id
}

resource "aws_security_group" "inline" {
  vpc_id = aws_vpc.a.id

  ingress {
    protocol        = "tcp"
    from_port       = 443
    to_port         = 443
    prefix_list_ids = [aws_ec2_managed_prefix_list.inline.id]
  }
}

resource "aws_security_group" "apart" {
  vpc_id = aws_vpc.a.id
}

resource "aws_vpc_security_group_egress_rule" "apart" {
  security_group_id = aws_security_group.apart.id
  ip_protocol       = "-1"
  prefix_list_id    = aws_ec2_managed_prefix_list.apart.id
}

resource "aws_security_group_rule" "apart" {
  security_group_id = aws_security_group.apart.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 80
  to_port           = 80
  prefix_list_ids   = [aws_ec2_managed_prefix_list.apart.id]
}

# The default table, as modules take it over.
resource "aws_vpc" "b" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "b" {
  vpc_id     = aws_vpc.b.id
  cidr_block = "10.0.0.0/24"
}

resource "aws_network_interface" "b" {
  subnet_id = aws_subnet.b.id
}

resource "aws_default_route_table" "b" {
  default_route_table_id = aws_vpc.b.default_route_table_id

  dynamic "route" {
    for_each = var.changed ? [] : ["0.0.0.0/0"]
    content {
      cidr_block           = route.value
      network_interface_id = aws_network_interface.b.id
    }
  }

  tags = { Name = "default" }
}

data "aws_route_table" "a" {
  subnet_id = aws_route_table_association.a[0].subnet_id
}

data "aws_route" "four" {
  route_table_id         = aws_route.four.route_table_id
  destination_cidr_block = "0.0.0.0/0"
}

data "aws_ec2_managed_prefix_list" "apart" {
  id         = aws_ec2_managed_prefix_list.apart.id
  depends_on = [aws_ec2_managed_prefix_list_entry.apart]
}

output "found" {
  value = {
    table   = data.aws_route_table.a.id == aws_route_table.inline.id
    routes  = length(data.aws_route_table.a.routes)
    target  = data.aws_route.four.network_interface_id == aws_network_interface.appliance[0].id
    entries = [for e in data.aws_ec2_managed_prefix_list.apart.entries : e.cidr]
  }
}
