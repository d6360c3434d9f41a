import {
  NodeConnectionTypes,
  type IExecuteFunctions,
  type INodeExecutionData,
  type INodeType,
  type INodeTypeDescription,
} from 'n8n-workflow';

import { jobFields, submitFields } from './fields';
import { download, get, submit, wait } from './operations';

const operations = { download, get, submit, wait };

/** Submits photos to a Smart Filter service, waits for their jobs, and fetches the pictures. */
export class SmartFilter implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Smart Filter',
    name: 'smartFilter',
    icon: {
      light: 'file:../../icons/smart-filter.svg',
      dark: 'file:../../icons/smart-filter.dark.svg',
    },
    group: ['transform'],
    version: 1,
    subtitle: '={{ $parameter["operation"] }}',
    description: 'Cut people out of photos and replace the background',
    defaults: { name: 'Smart Filter' },
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    usableAsTool: true,
    credentials: [{ name: 'smartFilterApi', required: true }],
    properties: [
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        options: [
          {
            name: 'Download',
            value: 'download',
            description: 'Get the picture of a finished job, or another file',
            action: 'Download an output of a job',
          },
          {
            name: 'Get',
            value: 'get',
            description: 'Get a job as it is now',
            action: 'Get a job',
          },
          {
            name: 'Submit',
            value: 'submit',
            description: 'Submit a photo; returns its job at once',
            action: 'Submit a photo',
          },
          {
            name: 'Wait',
            value: 'wait',
            description: 'Wait for the end of a job; fails if the job failed',
            action: 'Wait for a job',
          },
        ],
        default: 'submit',
      },
      ...submitFields,
      ...jobFields,
    ],
  };

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const results: INodeExecutionData[] = [];
    for (const index of this.getInputData().keys()) {
      const operation = this.getNodeParameter('operation', index) as keyof typeof operations;
      const working = operations[operation].call(this, index);
      const made = this.continueOnFail() ? await working.catch(toItem) : await working;
      results.push({ ...made, pairedItem: { item: index } });
    }
    return [results];
  }
}

function toItem(error: Error): INodeExecutionData {
  return { json: { error: error.message } };
}
