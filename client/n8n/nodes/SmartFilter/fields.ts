import type { INodeProperties } from 'n8n-workflow';

const onlyFor = (...operation: string[]) => ({ show: { operation } });

const files = [
  { name: 'Cutout', value: 'cutout', description: 'The people without a background' },
  { name: 'Image', value: 'image', description: 'The people on their new background' },
  { name: 'Matte', value: 'matte', description: 'How much of each pixel is people' },
  { name: 'Persons', value: 'persons', description: 'A ZIP with a cutout of each person' },
  { name: 'Thumbnail', value: 'thumbnail', description: 'The image, at most 256 pixels' },
  { name: 'ZIP', value: 'zip', description: 'The colors and the matte' },
];
const findings = [
  { name: 'Faces', value: 'faces', description: 'Smiles and open eyes of each face' },
  { name: 'Rating', value: 'rating', description: 'How well the people look, 0 to 1' },
];

/** The fields of the operation `submit`. */
export const submitFields: INodeProperties[] = [
  {
    displayName: 'Photo',
    name: 'source',
    type: 'options',
    options: [
      { name: 'Binary File', value: 'binary' },
      { name: 'URL', value: 'url' },
    ],
    default: 'binary',
    displayOptions: onlyFor('submit'),
  },
  {
    displayName: 'Input Binary Field',
    name: 'binaryPropertyName',
    type: 'string',
    default: 'data',
    required: true,
    displayOptions: { show: { operation: ['submit'], source: ['binary'] } },
    hint: 'The name of the input field with the photo: JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF, up to 40 MB',
  },
  {
    displayName: 'Photo URL',
    name: 'photoUrl',
    type: 'string',
    default: '',
    required: true,
    placeholder: 'https://example.com/me.jpg',
    displayOptions: { show: { operation: ['submit'], source: ['url'] } },
    description: 'An address that the service fetches',
  },
  {
    displayName: 'Background',
    name: 'background',
    type: 'string',
    default: 'auto',
    displayOptions: onlyFor('submit'),
    description:
      'One of auto, keep, transparent, blur:0.5, color:navy, keywords:beach,sunset, or preset:rainbow',
  },
  {
    displayName: 'Outputs',
    name: 'outputs',
    type: 'multiOptions',
    options: [...files, ...findings].sort((a, b) => a.name.localeCompare(b.name)),
    default: ['image'],
    displayOptions: onlyFor('submit'),
    description: 'What to make',
  },
  {
    displayName: 'Options',
    name: 'options',
    type: 'collection',
    placeholder: 'Add option',
    default: {},
    displayOptions: onlyFor('submit'),
    options: [
      {
        displayName: 'Crop',
        name: 'crop',
        type: 'options',
        options: [
          { name: 'Around the People', value: 'true' },
          { name: 'Portrait of the Faces', value: 'faces' },
        ],
        default: 'true',
      },
      {
        displayName: 'Format',
        name: 'format',
        type: 'options',
        options: [
          { name: 'AVIF', value: 'avif' },
          { name: 'JPEG', value: 'jpg' },
          { name: 'PNG', value: 'png' },
          { name: 'WebP', value: 'webp' },
        ],
        default: 'jpg',
      },
      {
        displayName: 'Other Recipe Fields (JSON)',
        name: 'recipe',
        type: 'json',
        default: '{}',
        placeholder: '{"shadow": "soft", "metadata": {"order": "17"}}',
      },
      {
        displayName: 'Quality',
        name: 'quality',
        type: 'number',
        typeOptions: { minValue: 1, maxValue: 100 },
        default: 90,
        description: 'From 1 to 100, for JPEG, WebP and AVIF',
      },
      {
        displayName: 'Require a Person',
        name: 'require_person',
        type: 'boolean',
        default: true,
        description: 'Whether a photo without people fails',
      },
      {
        displayName: 'Size',
        name: 'size',
        type: 'string',
        default: '',
        placeholder: '1080x1350',
        description: 'Size of the picture in pixels, or of a print such as print:10x15',
      },
      {
        displayName: 'Strokes (JSON)',
        name: 'strokes',
        type: 'json',
        default: '[]',
        placeholder: '[{"points": [[20, 20], [80, 20]], "width": 24, "keep": true}]',
        description: 'Lines that mark people or background, in pixels of the photo',
      },
    ],
  },
];

/** The fields of the operations on a job. */
export const jobFields: INodeProperties[] = [
  {
    displayName: 'Job ID',
    name: 'jobId',
    type: 'string',
    default: '={{ $json.id }}',
    required: true,
    displayOptions: onlyFor('download', 'get', 'wait'),
  },
  {
    displayName: 'Timeout',
    name: 'timeout',
    type: 'number',
    typeOptions: { minValue: 1 },
    default: 300,
    displayOptions: onlyFor('wait'),
    description: 'How many seconds to wait at most',
  },
  {
    displayName: 'Output',
    name: 'output',
    type: 'options',
    options: files,
    default: 'image',
    displayOptions: onlyFor('download'),
  },
  {
    displayName: 'Put Output File in Field',
    name: 'binaryPropertyName',
    type: 'string',
    default: 'data',
    required: true,
    displayOptions: onlyFor('download'),
    hint: 'The name of the output field with the file',
  },
];
