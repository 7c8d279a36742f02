# What a cluster is made of: parameter groups, an instance and a name of its own, a snapshot
# with a copy, and what can be looked up of engines, orders and certificates.

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

data "aws_rds_engine_version" "cluster" {
  engine       = "aurora-postgresql"
  default_only = true
}

data "aws_rds_orderable_db_instance" "member" {
  engine                     = data.aws_rds_engine_version.cluster.engine
  engine_version             = data.aws_rds_engine_version.cluster.version
  preferred_instance_classes = ["db.serverless", "db.t4g.medium", "db.r6g.large"]
}

data "aws_rds_certificate" "own" {
  default_for_new_launches = true
}

data "aws_rds_certificate" "usual" {
  id = "rds-ca-rsa2048-g1"
}

resource "aws_vpc" "this" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "this" {
  for_each          = { "us-east-1a" = "10.0.1.0/24", "us-east-1b" = "10.0.2.0/24" }
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
}

resource "aws_db_subnet_group" "this" {
  name       = "orders"
  subnet_ids = [for s in aws_subnet.this : s.id]
  tags       = { team = "shop" }
}

resource "aws_db_parameter_group" "this" {
  name   = "orders"
  family = data.aws_rds_engine_version.cluster.parameter_group_family

  parameter {
    name  = "work_mem"
    value = var.changed ? "16384" : "8192"
  }

  dynamic "parameter" {
    for_each = var.changed ? [] : ["1000"]
    content {
      name  = "log_min_duration_statement"
      value = parameter.value
    }
  }

  tags = { team = "shop", changed = var.changed }
}

resource "aws_rds_cluster_parameter_group" "this" {
  name        = "orders"
  family      = data.aws_rds_engine_version.cluster.parameter_group_family
  description = "of orders"

  parameter {
    name         = "max_connections"
    value        = "60"
    apply_method = "pending-reboot"
  }
}

resource "aws_rds_cluster" "this" {
  cluster_identifier              = "orders"
  engine                          = data.aws_rds_engine_version.cluster.engine
  engine_version                  = data.aws_rds_engine_version.cluster.version_actual
  database_name                   = "orders"
  master_username                 = "boss"
  manage_master_user_password     = true
  db_subnet_group_name            = aws_db_subnet_group.this.name
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name
  skip_final_snapshot             = true
  tags                            = { team = "shop" }
}

resource "aws_rds_cluster_instance" "this" {
  identifier              = "orders-1"
  cluster_identifier      = aws_rds_cluster.this.id
  engine                  = aws_rds_cluster.this.engine
  instance_class          = data.aws_rds_orderable_db_instance.member.instance_class
  db_parameter_group_name = aws_db_parameter_group.this.name
  ca_cert_identifier      = data.aws_rds_certificate.usual.id
}

resource "aws_rds_cluster_endpoint" "this" {
  cluster_identifier          = aws_rds_cluster.this.id
  cluster_endpoint_identifier = "reports"
  custom_endpoint_type        = var.changed ? "ANY" : "READER"
  excluded_members            = var.changed ? [aws_rds_cluster_instance.this.id] : null
  static_members              = var.changed ? null : [aws_rds_cluster_instance.this.id]
  tags                        = { team = "shop" }
}

resource "aws_db_cluster_snapshot" "this" {
  db_cluster_identifier          = aws_rds_cluster_instance.this.cluster_identifier
  db_cluster_snapshot_identifier = "orders-before"
  shared_accounts                = var.changed ? ["210987654321"] : []
  tags                           = { team = "shop" }
}

resource "aws_rds_cluster_snapshot_copy" "this" {
  source_db_cluster_snapshot_identifier = aws_db_cluster_snapshot.this.db_cluster_snapshot_arn
  target_db_cluster_snapshot_identifier = "orders-copy"
}

output "databases" {
  value = {
    secret      = aws_rds_cluster.this.master_user_secret[0].secret_arn
    class       = data.aws_rds_orderable_db_instance.member.instance_class
    own         = data.aws_rds_certificate.own.id
    same        = data.aws_rds_certificate.own.thumbprint == data.aws_rds_certificate.usual.thumbprint
    endpoint    = aws_rds_cluster_endpoint.this.endpoint
    writer      = aws_rds_cluster_instance.this.writer
    certificate = aws_rds_cluster_instance.this.ca_cert_identifier
  }
}
